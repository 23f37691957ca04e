"""Records and finds the place that a worker holds at the provider: the provider's ids of the work and its study.

Approvals, bonuses and rejections at a site go to these ids. They are personal values, so the log holds them sealed.
"""

from __future__ import annotations

from typing import NamedTuple

from ....events import streams
from ....events.agent import AgentAccepted
from ....events.base import PayloadRef
from ....events.engagement import PlaceTaken
from ....events.ids import AgentId, TaskRunId, WorkerId
from ...command_issuer import CommandIssuer
from ...commands.admission import RecordPlace
from ...ledger import Ledger
from ...packets import ProviderData
from ...payloads import seal
from ...ports import Ids


class ProviderPlace(NamedTuple):
    """The provider's ids, as the worker's page gave them: a site has to confirm that they belong to the worker."""

    #: The provider's id of the work: a submission, an assignment, a survey code.
    handle: str
    #: The provider's id of the study or project; None: the page gave none.
    study: str | None


class ProviderPlaces:
    """The places of all workers in a log."""

    def __init__(self, ledger: Ledger, ids: Ids) -> None:
        """Initialize.

        Args:
            ledger: executes the commands; its writer task is running.
            ids: source of ids and salts.
        """
        self._ledger = ledger
        self._ids = ids
        self._issuer = CommandIssuer(ledger, ids)

    async def record(self, run: TaskRunId, worker: WorkerId, registration: str, page: ProviderData) -> None:
        """Record the place that a page says its worker holds, if it names one.

        Args:
            run: the run.
            worker: the worker.
            registration: pseudonym of the registration, by which the place's agent is found.
            page: what the page says. The first place of a registration stands.

        Raises:
            LogError: nothing was written, or it is not known whether it was.
        """
        if page.provider_handle is None:
            return
        handle = seal(page.provider_handle.encode(), self._ids.salt(), worker)
        study = None if page.provider_study is None else seal(page.provider_study.encode(), self._ids.salt(), worker)
        command = RecordPlace(
            task_run=run,
            worker=worker,
            registration=registration,
            handle=handle.ref,
            study=None if study is None else study.ref,
        )
        await self._issuer.issue_decided(command, handle, *([] if study is None else [study]))


def place_of_agent(ledger: Ledger, run: TaskRunId, agent: AgentId) -> ProviderPlace | None:
    """Return the place that an agent holds at the provider; None: its page named none, or it was erased.

    Raises:
        LogError: the log cannot be read.
    """
    accepted = ledger.log.history(streams.agent(run, agent))[0].envelope.event
    if not isinstance(accepted, AgentAccepted):
        return None
    for recorded in ledger.log.history(streams.engagement(run, accepted.worker)):
        event = recorded.envelope.event
        if isinstance(event, PlaceTaken) and event.registration == accepted.registration:
            handle = _text_of(ledger, event.handle)
            return None if handle is None else ProviderPlace(handle, _text_of(ledger, event.study))
    return None


def _text_of(ledger: Ledger, ref: PayloadRef | None) -> str | None:
    body = None if ref is None else ledger.log.payload(ref)
    return None if body is None else body.decode()
