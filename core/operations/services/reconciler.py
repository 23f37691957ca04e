"""Keeps a run's offer and its work at a crowd site as the log wants them, and reports what only a person can settle.

Nothing is remembered of earlier rounds but what the log has: the reconciler compares what is wanted with what the site
showed last, and asks for the difference. So a lost answer, a crash or a person's change on the site's pages is put
right by the next round.
"""

from __future__ import annotations

from collections.abc import Sequence

import trio

from ....events import streams
from ....events.agent import AgentReturned
from ....events.engagement import ProviderObserved, SiteWorkStatus
from ....events.ids import TaskRunId
from ....events.payment import Answer
from ...abstractions.crowd.differences import (
    ACTIONS,
    STATUS_AFTER,
    TAKEN_BACK_STATUSES,
    UNFINISHED_STATUSES,
    SiteDifference,
    difference,
    fills_place,
    is_news,
)
from ...abstractions.crowd.site_work import SiteWork, WorkAction, WorkOrder
from ...abstractions.crowd_provider import CrowdProvider
from ...command_issuer import CommandIssuer
from ...commands.admission import RecordProviderObservation
from ...commands.agent import EndAgent
from ...decisions.task_run import admission_problem
from ...ledger import Ledger
from ...lifecycles.agent import AgentRecord, AgentStatus
from ...lifecycles.onboarding import OnboardingRecord
from ...lifecycles.task_run import TaskRunState, TaskRunStatus
from ...lifecycles.unit import UnitStatus
from ...ports import Ids
from ..control.round_report import DifferenceReport, RoundOutcome, RoundReport, unknown_work
from ..logger_core import get_logger
from .missed_work import MissedPiece
from .provider_places import PlaceDirectory, RecordedPlace, ids_of_work, place_of_work
from .reconciling.other_means import RunPayments
from .reconciling.site_offer import OfferReconciler
from .reviewer import rejection_note
from .site_mirror import SiteMirror

ACTOR = "reconciler"
#: Seconds that one action at the site may take before the round goes on without it.
ACTION_SECONDS = 180.0
#: Actions in a row without an answer after which a round asks for no other: the site is down.
MAX_UNANSWERED = 3
_S = UnitStatus
#: Units that want a place at the site, or hold one.
_PLACED = (_S.LAUNCHED, _S.ASSIGNED, _S.COMPLETED, _S.ACCEPTED, _S.SOFT_REJECTED)

logger = get_logger(__name__)


class Reconciler:
    """Reconciles one run with its provider's site."""

    def __init__(
        self, ledger: Ledger, ids: Ids, run: TaskRunId, provider: CrowdProvider, *, concurrent: bool | None = None
    ) -> None:
        """Keep the parts; the provider is open.

        Args:
            ledger: executes the commands; its writer task is running.
            ids: source of command ids.
            run: the run.
            provider: its provider.
            concurrent: True if the units of an assignment are worked on together; None: it is not known, and agents are
                left to the run's operator.
        """
        self._ledger = ledger
        self._issuer = CommandIssuer(ledger, ids, ACTOR)
        self._run = run
        self._provider = provider
        self._concurrent = concurrent
        self._places = PlaceDirectory(ledger, run)
        #: Finished work that no page of ours knows, from the last observation.
        self._strangers: list[SiteWork] = []
        #: All work at the site, as the last observation showed it.
        self.works: Sequence[SiteWork] = ()
        #: Ids of work that observations have shown, and of work that the last one showed as unfinished.
        self._seen: set[str] = set()
        self._unfinished: set[str] = set()
        #: Seconds from the last observation until a list shows all work that is known here; None: it did.
        self._look_again_seconds: float | None = None
        #: Actions that the site refused; asked for again after the next observation.
        self._refused: dict[tuple[str, WorkAction], str] = {}
        #: Actions of this round in a row that were not answered.
        self._unanswered = 0
        #: The place whose action had to wait for that reason; the next round begins with it.
        self._waiting: RecordedPlace | None = None
        #: True in the run's operator; elsewhere somebody reads the reports of the rounds.
        self._logs = concurrent is not None
        self._mirror = SiteMirror(ledger, self._issuer, run, provider, logs=self._logs)
        self._offer = OfferReconciler(ledger, self._issuer, run, provider, logs=self._logs)
        #: Ids of finished work that somebody has found on the site's pages.
        self._listed: set[str] = set()
        #: Finished work by its id, from the last observation.
        self._finished: dict[str, SiteWork] = {}
        #: Finished work that the first observation showed and no page of ours knows; None: there was none yet.
        self._missed_before: frozenset[str] | None = None

    async def reconcile(
        self,
        *,
        observes: bool = True,
        offers: bool | None = True,
        started_by: str | None = None,
        listed: Sequence[SiteWork] = (),
    ) -> RoundReport:
        """Go through one round.

        Args:
            observes: ask the site for all work of the run; otherwise what it showed last counts.
            offers: False to withdraw the offer, None to leave it as it is.
            started_by: who wants an offer that was paused at the site to be started; None: nobody does.
            listed: completed work that somebody has found on the site's pages, where the site shows programs none.

        Raises:
            LogError: nothing could be recorded.
            Exception: the provider could not ask its site; what was done before stays.
        """
        self._unanswered = 0
        observed = await self._observe(listed) if observes else None
        payments = RunPayments(self._ledger, self._run, reads_notes=not self._logs)
        reports = [
            report
            for place in self._in_turn()
            if (report := self._settled_by_payment(place, payments) or await self._settle(place, self._shown(place)))
        ]
        strangers = [unknown_work(one.handle) for one in self._strangers]
        lists = await self._mirror.update(observes=observes)
        if observes and offers is not False:
            await self._offer.observe()
        wanted = self.wanted_places() if offers and self.may_offer() else None
        if offers is not None:
            await self._offer.bring_to(wanted, started_by)
        deadlines = self._auto_approvals()
        return RoundReport(
            wanted=wanted,
            offered=self._offer.offered,
            observed=observed,
            differences=(*reports, *strangers),
            unreviewed=len(deadlines),
            approved_by_site_at=min(deadlines, default=None),
            is_paused_there=self._offer.is_paused_there,
            lists=lists,
            look_again_seconds=self._look_again_seconds,
        )

    def _in_turn(self) -> Sequence[RecordedPlace]:
        """Return all places, the one first that had to wait."""
        places, first, self._waiting = self._places.all(), self._waiting, None
        start = places.index(first) if first in places else 0
        return (*places[start:], *places[:start])

    def missed(self) -> list[MissedPiece]:
        """Return the work that the last observation showed as completed, and that no page submitted."""
        pieces = [MissedPiece(work, None) for work in self._strangers]
        for place in self._places.all():
            key = place.handle.casefold()
            if self._difference(place, self._shown(place)) is SiteDifference.NOT_SUBMITTED and key in self._finished:
                pieces.append(MissedPiece(self._finished[key], place))
        return pieces

    def _auto_approvals(self) -> list[int]:
        """Return the times at which the site approves work that nobody has reviewed."""
        waiting = (
            shown.approved_by_site_at
            for place in self._places.all()
            if (shown := self._shown(place)) is not None
            and isinstance(agent := self._work_of(place), AgentRecord)
            and agent.status is AgentStatus.COMPLETED
        )
        return [at for at in waiting if at is not None]

    def may_offer(self) -> bool:
        """Return whether newcomers would get work now."""
        state = self._run_state
        return state.status is TaskRunStatus.LIVE and admission_problem(state) is None

    @property
    def _run_state(self) -> TaskRunState:
        return self._ledger.state.task_runs[streams.task_run(self._run)]

    def wanted_places(self) -> int:
        """Return the number of places that the run wants at its site in all, those that are taken included.

        Work that was completed while nobody was here keeps the place of a unit until a person has decided about it:
        otherwise its unit would be offered, and paid, a second time. Work that was submitted here, and whose place the
        site has taken back, holds none.
        """
        by_status = self._ledger.state.runs[self._run].units_by_status
        strangers = {work.handle for work in self._strangers} - (self._missed_before or frozenset())
        wanted = sum(by_status.get(status, 0) for status in _PLACED) + len(strangers)
        for place in self._places.all():
            if (shown := self._shown(place)) is not None:
                has_unit = self._has_unit(place)
                wanted += self._holds_place(shown) and not has_unit
                wanted -= has_unit and shown.status in TAKEN_BACK_STATUSES
        return wanted

    async def withdraw(self) -> None:
        """Withdraw the offer. That is recorded first: a pause that is found afterwards is ours.

        Raises:
            LogError: nothing could be recorded.
            Exception: the provider could not ask its site.
        """
        await self._offer.withdraw()

    def _holds_place(self, shown: ProviderObserved) -> bool:
        is_rejected = shown.status is SiteWorkStatus.REJECTED
        return fills_place(shown.status) or (is_rejected and self._provider.REJECTED_WORK_HOLDS_PLACE)

    def _has_unit(self, place: RecordedPlace) -> bool:
        """Return True if the place's agent has a unit that is counted by itself."""
        agent = self._work_of(place)
        if not isinstance(agent, AgentRecord):
            return False
        unit = self._ledger.state.units[streams.unit(self._run, agent.unit)]
        return unit.agent == agent.agent and unit.status in _PLACED

    # The work -------------------------------------------------------------------------------------------------------

    async def _observe(self, listed: Sequence[SiteWork]) -> int | None:
        """Record what the site shows; return the number of pieces of work, None: it shows none to programs."""
        # Before the site is asked: a list that comes late shows what there was when it was made.
        asked_us = self._ledger.now_us()
        works = self.works = tuple(await self._provider.observe())
        self._refused.clear()
        # A page that asked for work meanwhile may not be in the list yet; that is no difference.
        known = {place.handle.casefold(): place for place in self._places.all()}
        self._finished = {work.handle.casefold(): work for work in (*works, *listed) if fills_place(work.status)}
        self._listed = {work.handle.casefold() for work in listed}
        self._strangers = [work for work in self._finished.values() if place_of_work(work, known) is None]
        if self._missed_before is None:
            self._missed_before = frozenset(work.handle for work in self._strangers)
            if self._missed_before and self._logs:
                logger.warning(
                    "work was completed at the provider while nobody was here; `mephisto-es reconcile --take-in` "
                    "takes it in",
                    run=self._run,
                    pieces=len(self._missed_before),
                )
        shown_ids = ids_of_work(works)
        self._unfinished = ids_of_work(work for work in works if work.status in UNFINISHED_STATUSES)
        if self._provider.HIDES_RETURNED_WORK:
            await self._note_missing([place for key, place in known.items() if key not in shown_ids], asked_us)
        self._seen |= shown_ids
        for work in works:
            place = place_of_work(work, known)
            if place is None or not (is_news(work.status) or self._shown(place) is not None):
                continue
            at = None if work.approved_by_site_at is None else int(work.approved_by_site_at)
            await self._record(
                place,
                ProviderObserved(
                    registration=place.registration,
                    # A provider may use subclasses, which an event cannot hold.
                    status=SiteWorkStatus(work.status),
                    bonus_cents=int(work.bonus_cents),
                    approved_by_site_at=at,
                ),
            )
        return len(works) if self._provider.SHOWS_WORK else None

    async def _note_missing(self, places: Sequence[RecordedPlace], asked_us: int) -> None:
        """Record work that the site does not list as returned, unless the site may not list it yet."""
        unseen = [place.listed_from_us - asked_us for place in places if place.handle.casefold() not in self._seen]
        self._look_again_seconds = min((wait / 1_000_000 for wait in unseen if wait > 0), default=None)
        for place in places:
            may_be_new = place.handle.casefold() not in self._seen and place.listed_from_us > asked_us
            if not may_be_new and self._shown(place) is None:
                observed = ProviderObserved(registration=place.registration, status=SiteWorkStatus.RETURNED)
                await self._record(place, observed)

    def _settled_by_payment(self, place: RecordedPlace, payments: RunPayments) -> DifferenceReport | None:
        """Return the difference about one place that its payments explain, or that they are; None: there is none."""
        work, shown = self._work_of(place), self._shown(place)
        about = payments.difference(work, shown, self._difference(place, shown))
        if about is None:
            return None
        return DifferenceReport(
            difference=about.difference,
            outcome=about.outcome,
            worker=place.worker,
            stream=self._stream_of(place),
            reason=about.reason,
            note=about.note,
        )

    async def _settle(self, place: RecordedPlace, shown: ProviderObserved | None) -> DifferenceReport | None:
        """Remove the difference about one place, if there is one and it can be removed."""
        work, found = self._work_of(place), self._difference(place, shown)
        if found is None:
            return None
        outcome, reason = RoundOutcome.FOR_PERSON, ""
        if found is SiteDifference.STILL_AT_WORK and self._concurrent is None:
            outcome = RoundOutcome.PENDING
        elif found is SiteDifference.STILL_AT_WORK and isinstance(work, AgentRecord):
            departure = AgentReturned(reason="the worker returned the unit at the provider")
            end = EndAgent(task_run=self._run, agent=work.agent, departure=departure, concurrent=bool(self._concurrent))
            await self._issuer.issue(end)
            outcome = RoundOutcome.SETTLED
        elif found in ACTIONS:
            acted = await self._act(place, work, ACTIONS[found])
            if acted is not None:
                outcome, reason = acted
            elif isinstance(work, AgentRecord) and work.status is AgentStatus.REJECTED:
                return None  # its worker would complete it for nothing
            elif found is SiteDifference.NOT_COMPLETED and place.handle.casefold() in self._unfinished:
                reason = self._provider.COMPLETED_BY_WORKER
            else:
                return None
        return DifferenceReport(
            difference=found, outcome=outcome, worker=place.worker, stream=self._stream_of(place), reason=reason
        )

    def _difference(self, place: RecordedPlace, shown: ProviderObserved | None) -> SiteDifference | None:
        """Return how log and site differ about one place."""
        work = self._work_of(place)
        found = difference(work, None if shown is None else shown.status)
        is_rejected = isinstance(work, AgentRecord) and work.status is AgentStatus.REJECTED
        if found is SiteDifference.NOT_COMPLETED and is_rejected and self._provider.COMPLETION_PAYS:
            return None
        is_submitted = isinstance(work, AgentRecord) and work.submission is not None
        if found is None and place.handle.casefold() in self._listed and not is_submitted:
            return SiteDifference.NOT_SUBMITTED
        return found

    async def _act(
        self, place: RecordedPlace, work: AgentRecord | OnboardingRecord | None, action: WorkAction
    ) -> tuple[RoundOutcome, str] | None:
        """Ask the site for an action; None: it has no such action, and nothing is to be done."""
        if (known := self._refused.get((place.handle, action))) is not None:
            return RoundOutcome.REFUSED, known
        text = ""
        if action is WorkAction.REJECT and isinstance(work, AgentRecord):
            text = rejection_note(self._ledger, self._run, work.agent)
            if (problem := self._provider.rejection_problem(text)) is not None:
                return RoundOutcome.REFUSED, problem
        order = WorkOrder(
            action=action, handle=place.handle, study=place.study, participant=self._places.name_of(place), text=text
        )
        effect = self._provider.work_effect(order)
        if effect is None:
            return None
        if self._unanswered >= MAX_UNANSWERED:
            self._waiting = self._waiting or place
            return RoundOutcome.PENDING, "the site does not answer"
        result = None
        with trio.move_on_after(ACTION_SECONDS):
            result = await effect.send("")
        if result is None or result.answer not in {Answer.DONE, Answer.REFUSED}:
            self._unanswered += 1
            return RoundOutcome.PENDING, "" if result is None else result.reason
        self._unanswered = 0
        if result.answer is Answer.REFUSED:
            self._refused[place.handle, action] = result.reason
            if self._logs:
                logger.warning("the site refused an action", run=self._run, action=action.value, reason=result.reason)
            return RoundOutcome.REFUSED, result.reason
        await self._record(place, ProviderObserved(registration=place.registration, status=STATUS_AFTER[action]))
        return RoundOutcome.SETTLED, ""

    async def _record(self, place: RecordedPlace, observed: ProviderObserved) -> None:
        command = RecordProviderObservation(task_run=self._run, worker=place.worker, observed=observed)
        await self._issuer.issue(command)

    def _shown(self, place: RecordedPlace) -> ProviderObserved | None:
        engagement = self._ledger.state.engagements[streams.engagement(self._run, place.worker)]
        return engagement.places.get(place.registration)

    def _work_of(self, place: RecordedPlace) -> AgentRecord | OnboardingRecord | None:
        return self._ledger.state.agent_by_registration(self._run, place.registration)

    def _stream_of(self, place: RecordedPlace) -> str | None:
        return self._ledger.state.runs[self._run].by_registration.get(place.registration)
