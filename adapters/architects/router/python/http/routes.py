"""The HTTP side: turns requests into calls, and results into answers."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import msgspec
from msgspec import UNSET, Raw
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute

from ..errors import RefusalError
from ..json_text import encode, raw
from ..router import Router
from ..settings import RouterSettings, Secret
from ..sockets.socket_endpoint import SocketEndpoint
from .bodies import BodyReader, is_form
from .body_pool import PooledBody, Resource
from .client_address import KnownAddresses
from .refusals import EXPECTED_ERRORS, answer_error
from .request_bodies import (
    read_agent_status,
    read_log_error,
    read_metadata,
    read_request_agent,
    read_return_task,
    read_submit_appeal,
    read_submit_metadata,
    read_submit_onboarding,
    read_submit_task,
    read_worker_names,
    read_worker_page,
)
from .request_limits import RequestLimits
from .run_routes import RunRoutes, check_operator
from .task_config import PageFiles, TaskConfigFile
from .uploads import Uploads

JSON = "application/json; charset=utf-8"

#: The field of a form with the result; the others, apart from the agent's, repeat it.
RESULT_FIELD = "final_string_data"
#: The field of a form with metadata.
METADATA_FIELD = "metadata"

#: Size of what a provider's page says of a worker: as long as the operator is away, it is held for each request.
MAX_PROVIDER_DATA_BYTES = 64 * 2**10

T = TypeVar("T")

SUBMITTED = Response(b'{"status":"Submitted!"}', media_type=JSON)
SUBMITTED_LATE = Response(b'{"status":"late"}', media_type=JSON)
RETURNED = Response(b'{"status":"Returned"}', media_type=JSON)
SUBMITTED_METADATA = Response(b'{"status":"Submitted metadata"}', media_type=JSON)
SUBMITTED_APPEAL = Response(b'{"status":"Submitted appeal"}', media_type=JSON)
ERROR_LOGGED = Response(b'{"status":"Error log sent!"}', media_type=JSON)
DELETED = Response(b'{"status":"Deleted"}', media_type=JSON)
RECORDED = Response(b'{"status":"Recorded"}', media_type=JSON)
ALIVE = Response(b'{"status":"Alive!"}', media_type=JSON)


class Routes:
    """The handlers; each returns its answer, or raises an error that `answer_error` answers.

    Args:
        settings: limits, and the page's directory.
        secret: what the operator proves itself with.
        router: what requests are turned into calls of.
        known: learns where pages with an agent are.
        bodies: reads JSON.
        uploads: where forms go.
        run_routes: what an operator on another machine asks for.
        clock: returns seconds since the epoch.
        monotonic: returns seconds since any fixed moment.
    """

    def __init__(
        self,
        settings: RouterSettings,
        secret: Secret,
        router: Router,
        known: KnownAddresses,
        bodies: BodyReader,
        uploads: Uploads,
        run_routes: RunRoutes,
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._secret = secret
        self._router = router
        self._pages = router.page_requests
        self._known = known
        self._uploads = uploads
        self._run_routes = run_routes
        self._clock = clock
        self._bodies = bodies
        self._sockets = SocketEndpoint(router.hub, known, router.counters, settings.max_sockets, settings.idle_seconds)
        self._files = PageFiles(settings.static)
        self._config = TaskConfigFile(settings.static)
        self._limits = RequestLimits(settings, monotonic)

    def app(self) -> Starlette:
        """Build the application; the busiest routes come first."""
        return Starlette(
            routes=[
                Route("/submit_task", self.submit_task, methods=["POST"]),
                Route("/request_agent", self.request_agent, methods=["POST"]),
                Route("/task_config.json", self.task_config, methods=["GET"]),
                WebSocketRoute("/", self._sockets.serve),
                Route("/submit_onboarding", self.submit_onboarding, methods=["POST"]),
                Route("/submit_metadata", self.submit_metadata, methods=["POST"]),
                Route("/return_task", self.return_task, methods=["POST"]),
                Route("/log_error", self.log_error, methods=["POST"]),
                Route("/agent_status", self.agent_status, methods=["POST"]),
                Route("/submit_appeal", self.submit_appeal, methods=["POST"]),
                Route("/worker_page", self.worker_page, methods=["POST"]),
                Route("/provider_webhook", self.provider_webhook, methods=["POST"]),
                Route("/is_alive", self.is_alive, methods=["GET"]),
                Route("/get_timestamp", self.get_timestamp, methods=["GET"]),
                Route("/counters", self.counters, methods=["GET"]),
                Route("/download_file/{name}", self.download_file, methods=["GET"]),
                Route("/download_file/{name}", self.delete_file, methods=["DELETE"]),
                *self._run_routes.routes(),
                Mount("/", self._files),
            ],
            exception_handlers=dict.fromkeys((*EXPECTED_ERRORS, Exception), answer_error),
        )

    async def request_agent(self, request: Request) -> Response:
        """POST /request_agent: ask for an agent, and wait for the operator up to the deadline."""
        body = await self._read(request, read_request_agent)
        if len(bytes(body.provider_data)) > MAX_PROVIDER_DATA_BYTES:
            raise RefusalError(
                413, f"The data of the provider is too large: it may have {MAX_PROVIDER_DATA_BYTES} bytes."
            )
        if not self._limits.allow_request(request, read_worker_names(body.provider_data).worker_name):
            return Response(self._pages.refuse_busy(), media_type=JSON)
        return await _answer_if_there(
            request, lambda: self._pages.request_agent(body.provider_data, body.client_timestamp)
        )

    async def submit_onboarding(self, request: Request) -> Response:
        """POST /submit_onboarding: record the result, then answer like /request_agent."""
        body = await self._read(request, read_submit_onboarding)
        onboarding = body.provider_data
        answer = await self._pages.submit_onboarding(
            onboarding.agent, onboarding.onboarding_data, body.client_timestamp
        )
        return Response(answer, media_type=JSON)

    async def submit_task(self, request: Request) -> Response:
        """POST /submit_task: answer once the submission is durable, and say if it came late."""
        if is_form(request):
            token = await self._submit_form(request)
        else:
            body = await self._read(request, read_submit_task)
            data, token = raw({"final_data": body.final_data}), body.agent
            await self._pages.submit("submit_unit", token, data, body.client_timestamp)
        self._known.note(request)
        return SUBMITTED_LATE if self._pages.has_ended(token) else SUBMITTED

    async def submit_metadata(self, request: Request) -> Response:
        """POST /submit_metadata: answer once the tips, the feedback or the opinion are durable."""
        if is_form(request):
            await self._submit_metadata_form(request)
        else:
            body = await self._read(request, read_submit_metadata)
            data = raw({"metadata": body.metadata})
            await self._pages.submit("submit_metadata", body.agent, data, body.client_timestamp)
        return SUBMITTED_METADATA

    async def return_task(self, request: Request) -> Response:
        """POST /return_task: answer once it is durable that the worker gives the unit back undone."""
        body = await self._read(request, read_return_task)
        await self._pages.submit("return_unit", body.agent, raw({}), body.client_timestamp)
        return RETURNED

    async def log_error(self, request: Request) -> Response:
        """POST /log_error: pass an error in the page on to the operator's log."""
        body = await self._read(request, read_log_error)
        if self._limits.allow_report(request):
            self._pages.log_error(body.agent, body.error_data, body.client_timestamp)
        return ERROR_LOGGED

    async def agent_status(self, request: Request) -> Response:
        """POST /agent_status: return an agent's status as the operator gave it, for pages without a socket."""
        body = await self._read(request, read_agent_status)
        status = self._pages.status_of(body.agent)
        self._known.note(request)
        return Response(encode({"status": status}), media_type=JSON)

    async def submit_appeal(self, request: Request) -> Response:
        """POST /submit_appeal: answer once a worker's objection to a rejection is durable."""
        body = await self._read(request, read_submit_appeal)
        await self._pages.submit("submit_appeal", body.agent, raw({"text": body.text}), body.client_timestamp)
        return SUBMITTED_APPEAL

    async def worker_page(self, request: Request) -> Response:
        """POST /worker_page: return what a worker's own page shows, and wait for the operator up to the deadline.

        With `withdraw_consent` the operator withdraws the worker's consent to that run first; with `receipt` its answer
        has a receipt for the work of that agent.
        """
        body = await self._read(request, read_worker_page)
        if not self._limits.allow_request(request, body.worker_page):
            return Response(self._pages.refuse_busy(), media_type=JSON)
        return await _answer_if_there(
            request,
            lambda: self._pages.request_worker_page(
                body.worker_page, body.withdraw_consent, body.receipt, body.client_timestamp
            ),
        )

    async def provider_webhook(self, request: Request) -> Response:
        """POST /provider_webhook: answer once it is durable that something happened at the provider's site."""
        pieces: list[bytes] = []

        async def keep(piece: bytes, body: PooledBody) -> None:
            await body.throttle(len(piece))
            pieces.append(piece)
            body.hold(Resource.MEMORY, sum(map(len, pieces)))

        # As it came: the signature is over these bytes.
        await self._bodies.read_pieces(request, keep)
        await self._router.webhooks.record(request.headers, b"".join(pieces))
        return RECORDED

    async def is_alive(self, _request: Request) -> Response:
        """GET /is_alive: say that the router serves."""
        return ALIVE

    async def get_timestamp(self, _request: Request) -> Response:
        """GET /get_timestamp: return milliseconds since the epoch."""
        return JSONResponse({"timestamp": int(self._clock() * 1000)})

    async def counters(self, request: Request) -> Response:
        """GET /counters: return the router's figures, to the operator only."""
        check_operator(self._secret, request)
        return Response(encode(self._router.figures()), media_type=JSON)

    async def download_file(self, request: Request) -> Response:
        """GET /download_file/<name>: return an uploaded file, to the operator only."""
        check_operator(self._secret, request)
        path = self._uploads.path(request.path_params["name"])
        if path is None:
            raise RefusalError(404, "There is no such file.")
        return FileResponse(path, media_type="application/octet-stream")

    async def delete_file(self, request: Request) -> Response:
        """DELETE /download_file/<name>: delete an uploaded file that the operator has stored."""
        check_operator(self._secret, request)
        await self._uploads.delete(request.path_params["name"])
        return DELETED

    async def task_config(self, request: Request) -> Response:
        """GET /task_config.json: return the page's configuration, with the client's own version in it."""
        version = request.query_params.get("mephisto_task_version")
        try:
            answer = self._config.answer(version)
        except msgspec.DecodeError as error:
            raise RefusalError(500, "The task's configuration cannot be read.") from error
        if answer is None:
            raise RefusalError(404, "There is no task_config.json.")
        if not answer.is_supported:
            self._pages.report_version(version)
        headers = {"etag": answer.etag, "last-modified": answer.last_modified}
        response = Response(answer.body, media_type=JSON, headers=headers)
        return self._files.revalidate(response, request.headers)

    async def _submit_form(self, request: Request) -> str:
        """Submit a form; return the token of its agent."""
        form = await self._uploads.receive(request, self._pages.check_known)
        try:
            result = form.text(RESULT_FIELD)
            final_data = Raw(b"null") if result is None else Raw(await self._bodies.strict_json(result))
            data = raw({"final_data": final_data, "files": await form.keep()})
            await self._pages.submit("submit_unit", form.agent, data, UNSET)
        except Exception:
            await form.discard()
            raise
        return form.agent

    async def _submit_metadata_form(self, request: Request) -> None:
        form = await self._uploads.receive(request, self._pages.check_known)
        try:
            metadata = read_metadata(await self._bodies.strict_json(form.text(METADATA_FIELD) or b""))
            data = raw({"metadata": metadata, "files": await form.keep()})
            await self._pages.submit("submit_metadata", form.agent, data, UNSET)
        except Exception:
            await form.discard()
            raise

    async def _read(self, request: Request, read: Callable[[bytes], T]) -> T:
        return await self._bodies.read_body(request, read)


async def _answer_if_there(request: Request, ask: Callable[[], Awaitable[bytes]]) -> Response:
    """Answer with a packet that may take long; the wait ends if the client closes the connection."""
    answer = b""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel_when_gone, request, tasks.cancel_scope)
        answer = await ask()
        tasks.cancel_scope.cancel()
    return Response(answer, media_type=JSON)


async def _cancel_when_gone(request: Request, scope: anyio.CancelScope) -> None:
    """Cancel a scope when the client closes the connection; the body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
