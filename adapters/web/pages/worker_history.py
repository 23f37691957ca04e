"""Everything that a worker did in all runs: work, verdicts, messages and money."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ....core.entity_ref import WORKER, EntityRef
from ....core.lifecycles.unit import UnitStatus
from ....core.operations.control.own_page_requests import MakeReceipt, receipt_of
from ....core.operations.services.worker_page import MAX_WORK, WorkerPage, worker_page
from ....core.packet_data import PageReceipt
from ....events.agent import AgentMetadataReceived
from ....events.base import PayloadRef, kind_of
from ....events.envelope import RecordedEvent
from ....events.ids import TaskRunId, WorkerId
from ....projections.mephisto_db.rows import AgentPayloadRow
from ...log.sqlite.as_of import LogAsOf
from ..rendering import query
from ..site import Site, worker_of
from .reviewing.review import VERDICTS

#: Pieces of work that are shown, the latest first.
SHOWN_WORK = 500
#: Messages that are shown, the latest first.
SHOWN_MESSAGES = 50
_MESSAGES = """
    SELECT agent_payload_id FROM agent_payloads JOIN agents USING (agent_id)
    WHERE worker_id = ? AND kind = ? ORDER BY agent_payload_id DESC LIMIT ?
"""

_RUNS = """
    SELECT task_run_id FROM agents WHERE worker_id = :worker
    UNION SELECT task_run_id FROM onboarding_agents WHERE worker_id = :worker ORDER BY task_run_id DESC
"""


class Message(NamedTuple):
    """Tips or feedback that a worker sent beside the work."""

    agent_id: int
    #: Microseconds since the epoch.
    at: int
    #: None if it was erased.
    text: str | None


class _History(NamedTuple):
    """The contents of the page."""

    name: str | None
    page: WorkerPage
    messages: tuple[Message, ...]
    #: Addresses at which the work is seen, by unit; None if it was not submitted, or the unit is somebody else's.
    desks: dict[int, str | None]


class WorkerHistoryPages:
    """Shows what a worker did."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("/workers/{worker:int}/work", self.work)]

    async def work(self, request: Request) -> Response:
        """Show a worker's work, messages and money."""
        worker = worker_of(request)

        def answer(moment: LogAsOf) -> _History:
            moment.db.get_worker(worker)
            kind = kind_of(AgentMetadataReceived)
            found = moment.db.execute(_MESSAGES, (worker, kind, SHOWN_MESSAGES)).fetchall()
            rows = [moment.db.get(AgentPayloadRow, number) for (number,) in found]
            messages = tuple(Message(row.agent_id, row.at, moment.db.read_text(row.ref)) for row in rows)
            name = self._site.names_of(moment.db, [worker]).get(worker)
            page = page_of_worker(moment, worker, SHOWN_WORK)
            desks = {work.unit: _desk_of(moment, worker, work.unit) for work in page.work}
            return _History(name, page, messages, desks)

        found = await self._site.log.query(answer)
        subject = EntityRef(WORKER, worker)
        return self._site.templates.page("worker_history.html", request, subject=subject, **found._asdict())


def page_of_worker(moment: LogAsOf, worker: WorkerId, limit: int = MAX_WORK) -> WorkerPage:
    """Return what a worker sees of their work, in all runs."""
    return worker_page(_LogOfMoment(moment), worker, _runs_of(moment, worker), limit)


def _desk_of(moment: LogAsOf, worker: WorkerId, number: int) -> str | None:
    unit = moment.db.get_unit(number)
    if unit.worker_id != worker or unit.status not in VERDICTS:
        return None
    status = None if unit.status == UnitStatus.COMPLETED.value else unit.status
    selected = query(worker=f"worker-{worker}", status=status, unit=number)
    return f"/runs/{unit.task_run_id}/review/desk{selected}"


def receipt_of_worker(
    moment: LogAsOf, worker: WorkerId, token: str | None, make_receipt: MakeReceipt | None
) -> PageReceipt | None:
    """Return a receipt of a worker's work; see `receipt_of`."""
    return receipt_of(_LogOfMoment(moment), worker, _runs_of(moment, worker), token, make_receipt)


def _runs_of(moment: LogAsOf, worker: WorkerId) -> list[TaskRunId]:
    return [TaskRunId(run) for (run,) in moment.db.execute(_RUNS, {"worker": worker}).fetchall()]


class _LogOfMoment:
    """A log as of a moment in the form that the page is made from."""

    def __init__(self, moment: LogAsOf) -> None:
        self._moment = moment

    def history(self, stream: str) -> Iterable[RecordedEvent]:
        return self._moment.stream(stream)

    def find(self, command: str) -> Iterable[RecordedEvent]:
        return self._moment.command(command)

    def payload(self, ref: PayloadRef) -> bytes | None:
        return self._moment.payload(ref)
