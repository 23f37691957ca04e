"""The HTTP side: requests to switchboard calls, outcomes to answers."""

from collections.abc import Callable
from typing import TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute

from .bodies import Refusal, read_body
from .journal import JournalUnwritable, OutboxFull
from .operator_desk import TooManyWaiting
from .pages import SUPPORTED_VERSIONS, PageFiles, TaskConfig
from .settings import Settings
from .sockets import SocketDoor
from .switchboard import Switchboard, UnknownAgent
from .wire import (
    LogErrorBody,
    MalformedJson,
    RequestAgentBody,
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

T = TypeVar("T")

read_request_agent = reader(RequestAgentBody)
read_submit_onboarding = reader(SubmitOnboardingBody)
read_submit_task = reader(SubmitTaskBody)
read_submit_metadata = reader(SubmitMetadataBody)
read_log_error = reader(LogErrorBody)

SUBMITTED = Response(b'{"status":"Submitted!"}', media_type=JSON)
SUBMITTED_METADATA = Response(b'{"status":"Submitted metadata"}', media_type=JSON)
ERROR_LOGGED = Response(b'{"status":"Error log sent!"}', media_type=JSON)
ALIVE = Response(b'{"status":"Alive!"}', media_type=JSON)


class Routes:
    """The handlers; each returns its answer or raises what `REFUSALS` has an answer for."""

    def __init__(self, settings: Settings, board: Switchboard, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._board = board
        self._clock = clock
        self._files = PageFiles(settings.static)
        self._config = TaskConfig(settings.static)

    def app(self) -> Starlette:
        """Build the application; the busiest routes come first."""
        return Starlette(
            routes=[
                Route("/submit_task", self.submit_task, methods=["POST"]),
                Route("/request_agent", self.request_agent, methods=["POST"]),
                Route("/task_config.json", self.task_config, methods=["GET"]),
                WebSocketRoute("/", SocketDoor(self._board, self._settings.max_sockets).__call__),
                Route("/submit_onboarding", self.submit_onboarding, methods=["POST"]),
                Route("/submit_metadata", self.submit_metadata, methods=["POST"]),
                Route("/log_error", self.log_error, methods=["POST"]),
                Route("/is_alive", self.is_alive, methods=["GET"]),
                Route("/get_timestamp", self.get_timestamp, methods=["GET"]),
                Mount("/", self._files),
            ],
            exception_handlers=dict.fromkeys((Refusal, HTTPException, Exception, *REFUSALS), _refused),
        )

    async def task_config(self, request: Request) -> Response:
        """GET /task_config.json: the configuration, with the client's own version in it."""
        version = request.query_params.get("mephisto_task_version")
        if version not in SUPPORTED_VERSIONS:
            self._board.report("version_mismatch", version=version and version[:VERSION_LENGTH])
        try:
            return self._config.response(version, self._files, request.headers)
        except FileNotFoundError:
            raise Refusal(404, "There is no task_config.json.") from None
        except msgspec.DecodeError as error:
            raise Refusal(500, "The task's configuration cannot be read.") from error

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
        body = await self._read(request, read_submit_task)
        await self._board.submit(
            "submit_unit", body.agent, raw({"final_data": body.final_data}), body.client_timestamp
        )
        return SUBMITTED

    async def submit_metadata(self, request: Request) -> Response:
        """POST /submit_metadata: tips and feedback, answered once durable."""
        body = await self._read(request, read_submit_metadata)
        await self._board.submit(
            "submit_metadata", body.agent, raw({"metadata": body.metadata}), body.client_timestamp
        )
        return SUBMITTED_METADATA

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

    async def _read(self, request: Request, read: Callable[[bytes], T]) -> T:
        body = await read_body(request, self._settings.max_body_bytes)
        try:
            return read(strict_json(body))
        except MalformedJson as error:
            raise Refusal(400, f"The body is not what is expected here: {error}.") from error


#: What a page is told when the router cannot do what it asks.
REFUSALS: dict[type[Exception], Refusal] = {
    UnknownAgent: Refusal(403, "This agent is not known here."),
    OutboxFull: Refusal(
        507, "The server cannot take more submissions at the moment, please try again later."
    ),
    JournalUnwritable: Refusal(
        503, "The server cannot store submissions at the moment, please try again later."
    ),
    TooManyWaiting: Refusal(503, "The server is busy at the moment, please try again in a minute."),
}


async def _refused(_request: Request, error: Exception) -> Response:
    match error:
        case Refusal():
            refusal = error
        case HTTPException():
            refusal = Refusal(error.status_code, f"{error.detail}.")
        case _:
            refusal = REFUSALS.get(type(error)) or Refusal(500, "The server made a mistake.")
    return Response(msgspec.json.encode({"error": refusal.sentence}), refusal.status, media_type=JSON)
