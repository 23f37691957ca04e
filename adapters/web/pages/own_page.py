"""Serves workers their own pages once no router does; the address itself shows whose page it is, so nobody logs in."""

from __future__ import annotations

from contextlib import aclosing
from typing import Annotated, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from ....core.lifecycles.worker import WorkerStatus
from ....core.operations.control.own_page_requests import WITHDRAWN_ON_PAGE, OpenedPage
from ....core.operations.control.requests import AppealRequest, WithdrawConsentRequest
from ....core.operations.logger_core import get_logger
from ....core.operations.packet_commands import MAX_APPEAL_LENGTH
from ....core.operations.services.worker_page import WorkerPage, worker_of_token
from ....core.packet_data import PageReceipt
from ....events import streams
from ....events.agent import AgentAccepted
from ....events.ids import AgentId, TaskRunId
from ....projections.mephisto_db.rows import AgentRow
from ...blueprints.page_files import CLIENT
from ...log.sqlite.as_of import LogAsOf
from ...sealing.extra import Receipts, load_receipts
from ..guard import APPEAL, OWN_PAGE, TEXTS
from ..site import Site
from .worker_history import page_of_worker, receipt_of_worker

#: The files of the page, which routers serve as well.
FILES = (f"{OWN_PAGE}.html", f"{OWN_PAGE}.css", f"{OWN_PAGE}.js", f"{OWN_PAGE}_receipt.js", TEXTS)
MAX_REQUEST_BYTES = 64 * 2**10

T = TypeVar("T")

logger = get_logger(__name__)

_STATUS = "SELECT status FROM workers WHERE worker_id = ?"


class _WorkerPageRequest(msgspec.Struct):
    #: The token in the page's address.
    worker_page: str
    #: A run; the worker withdraws the consent to it first.
    withdraw_consent: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)] | None = None
    #: The token of an agent; the worker wants a receipt of that work.
    receipt: str | None = None


class _AppealRequest(msgspec.Struct):
    worker_page: str
    #: What the worker says.
    text: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_APPEAL_LENGTH, pattern=r"\S")]
    #: The agent's token.
    token: str = msgspec.field(name="USED_AGENT_ID")


class _WorkerPageAnswer(msgspec.Struct):
    #: None if there is no such page.
    page: WorkerPage | None
    #: None: none was asked for, or there is none.
    receipt: PageReceipt | None


class _Answer(msgspec.Struct):
    """The answer in the form of the routers' packets."""

    data: _WorkerPageAnswer


class OwnPages:
    """The pages of workers, made from the log."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._receipts = load_receipts(site.log.database)

    def routes(self) -> list[Route]:
        """Return the routes."""
        files = [Route(path, _send_file, methods=["GET"]) for path in FILES]
        return [
            *files,
            Route(OWN_PAGE, self.contents, methods=["POST"]),
            Route(APPEAL, self.appeal, methods=["POST"]),
        ]

    async def contents(self, request: Request) -> Response:
        """Return what a worker's page shows, after withdrawing a consent if asked to; null if there is no such page."""
        asked = await _read(request, _WorkerPageRequest)
        if asked.withdraw_consent is not None:
            await self._withdraw_consent(asked.worker_page, TaskRunId(asked.withdraw_consent))
        receipts = self._receipts
        opened = await self._site.log.query(lambda moment: _opened_page(moment, asked, receipts))
        body = msgspec.json.encode(_Answer(_WorkerPageAnswer(opened.page, opened.receipt)))
        return Response(body, media_type="application/json")

    async def _withdraw_consent(self, token: str, run: TaskRunId) -> None:
        """Withdraw a worker's consent to a run, if the worker may do that now; the page shows whether it was done."""
        worker = await self._site.log.query(lambda moment: worker_of_token(moment.pseudonym_key, token))
        if worker is None:
            return
        withdrawal = WithdrawConsentRequest(task_run=run, worker=worker, reason=WITHDRAWN_ON_PAGE)
        refusal = await self._site.log.execute(withdrawal, author=f"worker/{worker}")
        if refusal is not None:
            logger.info("a withdrawal of consent on a worker's page was refused", worker=worker, reason=str(refusal))

    async def appeal(self, request: Request) -> Response:
        """Record a worker's objection to a rejection."""
        asked = await _read(request, _AppealRequest)
        agent = await self._site.log.query(lambda moment: _agent_of(moment, asked))
        if agent is None:
            raise HTTPException(403, "There is no such work on this page")
        appeal = AppealRequest(agent=AgentId(agent.agent_id), objection=asked.text)
        refusal = await self._site.log.execute(appeal, author=f"worker/{agent.worker_id}")
        if refusal is not None:
            raise HTTPException(409, str(refusal))
        return Response(b'{"status":"Submitted appeal"}', media_type="application/json")


def _opened_page(moment: LogAsOf, asked: _WorkerPageRequest, receipts: Receipts | None) -> OpenedPage:
    number = worker_of_token(moment.pseudonym_key, asked.worker_page)
    if number is None:
        return OpenedPage(None)
    if moment.db.execute(_STATUS, (number,)).fetchone() in (None, (WorkerStatus.ERASED.value,)):
        return OpenedPage(None)
    make_receipt = None if receipts is None else receipts.proof
    page = msgspec.structs.replace(page_of_worker(moment, number), offers_receipts=receipts is not None)
    return OpenedPage(page, receipt_of_worker(moment, number, asked.receipt, make_receipt))


def _agent_of(moment: LogAsOf, asked: _AppealRequest) -> AgentRow | None:
    """Return the agent whose rejection a worker objects to; None if it is not one of theirs."""
    worker = worker_of_token(moment.pseudonym_key, asked.worker_page)
    if worker is None:
        return None
    for agent in moment.db.find_agents(worker_id=worker):
        accepted = moment.stream(streams.agent(agent.task_run_id, agent.agent_id))[0].envelope.event
        if isinstance(accepted, AgentAccepted) and accepted.token == asked.token:
            return agent
    return None


async def _read(request: Request, shape: type[T]) -> T:
    """Return what a request says.

    Raises:
        HTTPException: it cannot be read, or is too large.
    """
    try:
        return msgspec.json.decode(await _body(request), type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HTTPException(400, "This request cannot be read") from error


async def _send_file(request: Request) -> Response:
    return FileResponse(CLIENT / request.url.path.lstrip("/"))


async def _body(request: Request) -> bytes:
    """Return the body of a request.

    Raises:
        HTTPException: it is too large.
    """
    body = bytearray()
    async with aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > MAX_REQUEST_BYTES:
                raise HTTPException(413, f"A request may have at most {MAX_REQUEST_BYTES:,} bytes")
    return bytes(body)
