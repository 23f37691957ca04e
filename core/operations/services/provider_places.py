"""Records and finds the place that a worker holds at the provider: the provider's ids of the work and its study.

Approvals, bonuses and rejections at a site go to these ids. They are personal values, so the log holds them sealed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ....events import streams
from ....events.agent import AgentAccepted
from ....events.base import PayloadRef
from ....events.engagement import PlaceTaken
from ....events.ids import AgentId, TaskRunId, WorkerId
from ...abstractions.crowd.site_work import SiteWork
from ...command_issuer import CommandIssuer
from ...commands.admission import RecordPlace
from ...decisions.worker_rights.pay_for_time import COMPENSATION_PREFIX
from ...ledger import Ledger
from ...packet_data import ProviderData
from ...payloads import name_of_worker, seal
from ...ports import Ids

#: Seconds after which a site's list shows new work for certain.
LISTED_AFTER_SECONDS = 60


class ProviderPlace(NamedTuple):
    """The provider's ids, as the worker's page gave them: a site has to confirm that they belong to the worker."""

    #: The provider's id of the work: a submission, an assignment, a survey code.
    handle: str
    #: The provider's id of the study or project; None: the page gave none.
    study: str | None


class RecordedPlace(NamedTuple):
    """A place with the worker who holds it."""

    worker: WorkerId
    #: Pseudonym of the registration, by which the place's agent is found.
    registration: str
    #: As in `ProviderPlace`.
    handle: str
    study: str | None
    #: The time at which its page first asked for work, in microseconds since the epoch.
    taken_at: int

    @property
    def listed_from_us(self) -> int:
        """The time from which a site's list shows its work for certain, in microseconds since the epoch."""
        return self.taken_at + LISTED_AFTER_SECONDS * 1_000_000


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
    # An agent that is paid for an onboarding has the onboarding's place.
    registration = accepted.registration.removeprefix(COMPENSATION_PREFIX)
    for recorded in ledger.log.history(streams.engagement(run, accepted.worker)):
        event = recorded.envelope.event
        if isinstance(event, PlaceTaken) and event.registration == registration:
            handle = _text_of(ledger, event.handle)
            return None if handle is None else ProviderPlace(handle, _text_of(ledger, event.study))
    return None


class PlaceDirectory:
    """The places of one run, read from the log as far as they are new."""

    def __init__(self, ledger: Ledger, run: TaskRunId) -> None:
        """Read nothing yet.

        Args:
            ledger: reads the log.
            run: the run.
        """
        self._ledger = ledger
        self._run = run
        #: Places by the stream of their engagement.
        self._by_stream: dict[str, list[RecordedPlace]] = {}

    def all(self) -> Sequence[RecordedPlace]:
        """Return the places that are not erased, those of one worker in the order in which they were taken.

        Raises:
            LogError: the log cannot be read.
        """
        for stream, engagement in self._ledger.state.engagements.items():
            is_known = len(self._by_stream.get(stream, ())) == len(engagement.places)
            if engagement.places and not is_known and streams.run_of(stream) == self._run:
                self._by_stream[stream] = self._read(stream, engagement.worker)
        return [place for places in self._by_stream.values() for place in places if place.handle]

    def name_of(self, place: RecordedPlace) -> str | None:
        """Return the provider's name of the worker who holds a place; None: it was erased."""
        return name_of_worker(self._ledger.log, place.worker)

    def _read(self, stream: str, worker: WorkerId) -> list[RecordedPlace]:
        return [
            # An erased place stays in the list, so that its stream is not read again.
            RecordedPlace(
                worker,
                event.registration,
                _text_of(self._ledger, event.handle) or "",
                _text_of(self._ledger, event.study),
                recorded.envelope.at,
            )
            for recorded in self._ledger.log.history(stream)
            if isinstance(event := recorded.envelope.event, PlaceTaken)
        ]


def place_of_work(work: SiteWork, known: Mapping[str, RecordedPlace]) -> RecordedPlace | None:
    """Return the place of a piece of work: by its id, or by its person's where the page named no other."""
    place = known.get(work.handle.casefold())
    return place if place is not None or work.participant is None else known.get(work.participant.casefold())


def ids_of_work(works: Iterable[SiteWork]) -> set[str]:
    """Return the ids of works and of their people: a page may have named either."""
    return {key.casefold() for work in works for key in (work.handle, work.participant) if key is not None}


def _text_of(ledger: Ledger, ref: PayloadRef | None) -> str | None:
    body = None if ref is None else ledger.log.payload(ref)
    return None if body is None else body.decode()
