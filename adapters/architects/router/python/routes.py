"""The HTTP side: requests to switchboard calls, outcomes to answers."""

from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import UNSET, Raw
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute

from .bodies import BodyLimits, RefusalError, read_body
from .journal import JournalUnwritableError, OutboxFullError
from .pages import SUPPORTED_VERSIONS, PageFiles, TaskConfig
from .settings import Secret, Settings
from .sockets import SocketEndpoint
from .switchboard import Switchboard, UnknownAgentError
from .uploads import Uploads
from .wire import (
    NULL,
    LogErrorBody,
    MalformedJsonError,
    RequestAgentBody,
    ReturnTaskBody,
    SubmitMetadataBody,
    SubmitOnboardingBody,
    SubmitTaskBody,
    raw,
    reader,
    strict_json,
)

JSON = "application/json; charset=utf-8"

#: Longest part of a client's version that is reported to the operator.
VERSION_LENGTH = 64

#: Fields of a form that are read; the others repeat what is in the result.
AGENT_FIELD = "USED_AGENT_ID"
RESULT_FIELD = "final_string_data"

T = TypeVar("T")

read_request_agent = reader(RequestAgentBody)
read_submit_onboarding = reader(SubmitOnboardingBody)
read_submit_task = reader(SubmitTaskBody)
read_submit_metadata = reader(SubmitMetadataBody)
read_return_task = reader(ReturnTaskBody)
read_log_error = reader(LogErrorBody)

SUBMITTED = Response(b'{"status":"Submitted!"}', media_type=JSON)
RETURNED = Response(b'{"status":"Returned"}', media_type=JSON)
SUBMITTED_METADATA = Response(b'{"status":"Submitted metadata"}', media_type=JSON)
ERROR_LOGGED = Response(b'{"status":"Error log sent!"}', media_type=JSON)
ALIVE = Response(b'{"status":"Alive!"}', media_type=JSON)


class Routes:
    """The handlers; each returns its answer or raises what `REFUSALS` has an answer for."""

    def __init__(
        self,
        settings: Settings,
        secret: Secret,
        board: Switchboard,
        uploads: Uploads,
        clock: Callable[[], float],
    ) -> None:
        self._secret = secret
        self._board = board
        self._uploads = uploads
        self._clock = clock
        self._body_limits = BodyLimits(settings.max_body_bytes, settings.idle_seconds)
        self._door = SocketEndpoint(board, settings.max_sockets, settings.idle_seconds)
        self._files = PageFiles(settings.static)
        self._config = TaskConfig(settings.static)

    def app(self) -> Starlette:
        """Build the application; the busiest routes come first."""
        return Starlette(
            routes=[
                Route("/submit_task", self.submit_task, methods=["POST"]),
                Route("/request_agent", self.request_agent, methods=["POST"]),
                Route("/task_config.json", self.task_config, methods=["GET"]),
                WebSocketRoute("/", self._door.__call__),
                Route("/submit_onboarding", self.submit_onboarding, methods=["POST"]),
                Route("/submit_metadata", self.submit_metadata, methods=["POST"]),
                Route("/return_task", self.return_task, methods=["POST"]),
                Route("/log_error", self.log_error, methods=["POST"]),
                Route("/is_alive", self.is_alive, methods=["GET"]),
                Route("/get_timestamp", self.get_timestamp, methods=["GET"]),
                Route("/counters", self.counters, methods=["GET"]),
                Route("/download_file/{name}", self.download_file, methods=["GET"]),
                Mount("/", self._files),
            ],
            exception_handlers=dict.fromkeys(
                (RefusalError, HTTPException, MalformedJsonError, Exception, *REFUSALS), _refused
            ),
        )

    async def task_config(self, request: Request) -> Response:
        """GET /task_config.json: the configuration, with the client's own version in it."""
        version = request.query_params.get("mephisto_task_version")
        if version not in SUPPORTED_VERSIONS:
            self._board.version_mismatch(version and version[:VERSION_LENGTH])
        try:
            return self._config.response(version, self._files, request.headers)
        except FileNotFoundError:
            raise RefusalError(404, "There is no task_config.json.") from None
        except msgspec.DecodeError as error:
            raise RefusalError(500, "The task's configuration cannot be read.") from error

    async def request_agent(self, request: Request) -> Response:
        """POST /request_agent: waits for the operator, up to the deadline."""
        body = await self._read(request, read_request_agent)
        answer = await self._board.request_agent(body.provider_data, body.client_timestamp)
        return Response(answer, media_type=JSON)

    async def submit_onboarding(self, request: Request) -> Response:
        """POST /submit_onboarding: recorded, then answered like /request_agent."""
        body = await self._read(request, read_submit_onboarding)
        onboarding = body.provider_data
        answer = await self._board.submit_onboarding(
            onboarding.agent, onboarding.onboarding_data, body.client_timestamp
        )
        return Response(answer, media_type=JSON)

    async def submit_task(self, request: Request) -> Response:
        """POST /submit_task: answered once the submission is durable."""
        if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            return await self._submit_form(request)
        body = await self._read(request, read_submit_task)
        await self._board.submit("submit_unit", body.agent, raw({"final_data": body.final_data}), body.client_timestamp)
        return SUBMITTED

    async def _submit_form(self, request: Request) -> Response:
        form = await self._uploads.receive(request)
        try:
            result = form.text(RESULT_FIELD)
            final_data = NULL if result is None else Raw(strict_json(result))
            agent = (form.text(AGENT_FIELD) or b"").decode("utf-8", "replace")
            self._board.check_known(agent)
            data = raw({"final_data": final_data, "files": await form.keep()})
            await self._board.submit("submit_unit", agent, data, UNSET)
        except Exception:
            await form.discard()
            raise
        return SUBMITTED

    async def submit_metadata(self, request: Request) -> Response:
        """POST /submit_metadata: tips and feedback, answered once durable."""
        body = await self._read(request, read_submit_metadata)
        await self._board.submit("submit_metadata", body.agent, raw({"metadata": body.metadata}), body.client_timestamp)
        return SUBMITTED_METADATA

    async def return_task(self, request: Request) -> Response:
        """POST /return_task: the worker gives the unit back undone; answered once durable."""
        body = await self._read(request, read_return_task)
        await self._board.submit("return_unit", body.agent, raw({}), body.client_timestamp)
        return RETURNED

    async def log_error(self, request: Request) -> Response:
        """POST /log_error: an error in the page, for the operator's log."""
        body = await self._read(request, read_log_error)
        self._board.log_error(body.agent, body.error_data, body.client_timestamp)
        return ERROR_LOGGED

    async def is_alive(self, _request: Request) -> Response:
        """GET /is_alive: the router serves."""
        return ALIVE

    async def get_timestamp(self, _request: Request) -> Response:
        """GET /get_timestamp: milliseconds since the epoch."""
        return JSONResponse({"timestamp": int(self._clock() * 1000)})

    async def counters(self, request: Request) -> Response:
        """GET /counters: for the operator only."""
        self._check_secret(request)
        return Response(msgspec.json.encode(self._board.counters()), media_type=JSON)

    async def download_file(self, request: Request) -> Response:
        """GET /download_file/<name>: an uploaded file, for the operator only."""
        self._check_secret(request)
        path = self._uploads.path(request.path_params["name"])
        if path is None:
            raise RefusalError(404, "There is no such file.")
        return FileResponse(path, media_type="application/octet-stream")

    def _check_secret(self, request: Request) -> None:
        scheme, _, offered = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not self._secret.matches(offered):
            raise RefusalError(401, "This is for the operator only.")

    async def _read(self, request: Request, read: Callable[[bytes], T]) -> T:
        body = await read_body(request, self._body_limits)
        return read(strict_json(body))


#: What a client is told when the router cannot do what it asks.
REFUSALS: dict[type[Exception], RefusalError] = {
    UnknownAgentError: RefusalError(403, "This agent is not known here."),
    OutboxFullError: RefusalError(
        507, "The server cannot take more submissions at the moment, please try again later."
    ),
    JournalUnwritableError: RefusalError(
        503, "The server cannot store submissions at the moment, please try again later."
    ),
}


async def _refused(_request: Request, error: Exception) -> Response:
    match error:
        case RefusalError():
            refusal = error
        case HTTPException():
            refusal = RefusalError(error.status_code, f"{error.detail}.")
        case MalformedJsonError():
            refusal = RefusalError(400, f"What was sent is not what is expected here: {error}.")
        case _:
            refusal = REFUSALS.get(type(error)) or RefusalError(500, "The server made a mistake.")
    return Response(msgspec.json.encode({"error": refusal.sentence}), refusal.status, media_type=JSON)
