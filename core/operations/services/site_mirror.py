"""Keeps the lists of workers at a crowd site as ours: who is blocked, and who has a qualification.

Each change is recorded as intended before the site is asked, and as answered afterwards. A list is a state, so a change
whose answer was lost is settled by a look at the list, or asked for again. People whom somebody has put into a list by
hand stay in it: only those are taken out who were in it by a decision here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from typing import NamedTuple

import trio

from ....events import streams
from ....events.base import Event
from ....events.ids import QualificationId, TaskRunId, WorkerId
from ....events.payment import Answer
from ....events.task_run import SiteListAnswered, SiteListEvent, SiteListIntended, SiteListObserved
from ....events.worker import QualificationChanged, QualificationGranted, WorkerUnblocked
from ...abstractions.crowd.site_work import ListFrozenError, ListRefusedError
from ...abstractions.crowd_provider import CrowdProvider
from ...command_issuer import CommandIssuer
from ...commands.task_run import RecordRunEvent
from ...decisions.settlement import LIST_LAG_SECONDS
from ...errors import LogError
from ...ledger import Ledger
from ...lifecycles.site_list import SiteListState, list_of
from ...lifecycles.worker import WorkerState, WorkerStatus
from ...payloads import name_of_worker, pseudonym
from ...redaction import redacted_text
from ..control.round_report import ListReport, RoundOutcome
from ..logger_core import get_logger

#: Longest part of an error that is recorded.
MAX_REASON_LENGTH = 300

logger = get_logger(__name__)


class _MirroredList(NamedTuple):
    """A list of workers that the site keeps after ours."""

    qualification: QualificationId | None
    #: The qualification's name; None: the list of blocked workers.
    name: str | None
    wanted: frozenset[WorkerId]
    #: Returns whether an event shows that its worker was in the list until then, or is since.
    shows: Callable[[Event], bool]


class _Change(NamedTuple):
    """Names of workers by whom a list at the site differs from ours."""

    added: dict[WorkerId, str]
    removed: dict[WorkerId, str]
    #: Others who were in the list once, as far as the log knows.
    told_too: dict[WorkerId, str]


class SiteMirror:
    """The lists of workers that the site of one run's provider keeps after ours."""

    def __init__(
        self, ledger: Ledger, issuer: CommandIssuer, run: TaskRunId, provider: CrowdProvider, *, logs: bool
    ) -> None:
        """Keep the parts; the provider is open.

        Args:
            ledger: reads the log.
            issuer: issues commands.
            run: the run.
            provider: tells the site.
            logs: False if somebody reads the reports, and log lines would only repeat them.
        """
        self._ledger = ledger
        self._issuer = issuer
        self._run = run
        self._provider = provider
        self._logs = logs
        #: Workers whom each list was to have when this process last brought it up to date.
        self._told: dict[QualificationId | None, frozenset[WorkerId]] = {}
        #: The time until which the site may show a list as it was before our change.
        self._stale_until: dict[QualificationId | None, float] = {}
        #: Lists that the site has closed to changes.
        self._frozen: set[QualificationId | None] = set()
        #: Lists that could not be brought up to date; they wait for the next observation.
        self._failed: set[QualificationId | None] = set()

    async def update(self, *, observes: bool) -> tuple[ListReport, ...]:
        """Bring the lists up to date; what the site does not do now is asked for again after the next observation.

        Args:
            observes: look at all lists; otherwise only at those that have changed here.

        Raises:
            LogError: the log cannot be read, or nothing could be recorded.
        """
        workers = [
            one
            for one in self._ledger.state.workers.values()
            if one.provider_type == self._provider.PROVIDER_TYPE and one.status is not WorkerStatus.ERASED
        ]
        return tuple([await self._update(one, workers, observes=observes) for one in self._lists(workers)])

    def _lists(self, workers: Collection[WorkerState]) -> list[_MirroredList]:
        found = []
        if self._provider.MIRRORS_BLOCKS:
            blocked = frozenset(one.worker for one in workers if one.status is WorkerStatus.BLOCKED)
            found.append(_MirroredList(None, None, blocked, lambda event: isinstance(event, WorkerUnblocked)))
        for name in self._provider.mirrored_qualifications():
            qualification = self._ledger.state.qualifications_by_name.get(name)
            if qualification is not None:
                holders = frozenset(one.worker for one in workers if one.qualifications.get(qualification, 0) > 0)
                found.append(_MirroredList(qualification, name, holders, _grants(qualification)))
        return found

    async def _update(self, one: _MirroredList, workers: Collection[WorkerState], *, observes: bool) -> ListReport:
        has_changed = one.wanted != self._told.get(one.qualification)
        problem = ""
        if observes or (has_changed and one.qualification not in self._failed):
            former = self._once(one, workers) if has_changed else frozenset()
            try:
                shown = await self._look(one)
                if shown is not None:
                    await self._record_sightings(one, shown, former)
                await self._tell(one, shown, former, has_changed=has_changed)
                self._failed.discard(one.qualification)
            except LogError:
                raise
            except Exception as error:  # noqa: BLE001 - a provider's code may raise anything
                problem = _reason_of(error)
                self._failed.add(one.qualification)
                self._warn("a list of workers at the provider is not up to date", problem)
        return self._report(one, problem)

    async def _look(self, one: _MirroredList) -> frozenset[WorkerId] | None:
        """Return the workers known here whom the site has in a list; None: it does not show the list."""
        names = await self._provider.listed_workers(one.name)
        if names is None:
            return None
        key, known = self._ledger.log.pseudonym_key, self._ledger.state.workers_by_identity
        identities = {
            pseudonym(key, self._provider.PROVIDER_TYPE, text) for name in names for text in (name, name.lower())
        }
        return frozenset(known[identity] for identity in identities if identity in known)

    async def _record_sightings(
        self, one: _MirroredList, shown: frozenset[WorkerId], former: frozenset[WorkerId]
    ) -> None:
        """Record what became of a change without an answer, and what somebody has changed on the site's pages."""
        known = self._known(one)
        if known.is_open and known.adding <= shown and not known.removing & shown:
            known = await self._record(one, SiteListAnswered(qualification=one.qualification, answer=Answer.DONE))
        if trio.current_time() < self._stale_until.get(one.qualification, 0):
            return
        under_way = known.adding | known.removing
        put_in = shown - known.members - under_way - one.wanted - former - known.put_in_there
        taken_out = (known.members - shown - under_way - known.taken_out_there) | (known.put_in_there - shown)
        back = known.taken_out_there & shown
        if put_in or taken_out or back:
            observed = SiteListObserved(
                qualification=one.qualification, added=tuple(sorted(put_in | back)), removed=tuple(sorted(taken_out))
            )
            await self._record(one, observed)

    async def _tell(
        self, one: _MirroredList, shown: frozenset[WorkerId] | None, former: frozenset[WorkerId], *, has_changed: bool
    ) -> None:
        """Ask the site for the difference, if there is one."""
        known = self._known(one)
        refused = frozenset() if has_changed else known.refused
        surplus = (known.members | known.adding | known.removing) - one.wanted
        if shown is not None:
            surplus = (surplus | (former - known.put_in_there)) & shown
        # Whoever was taken out of the list on the site's pages is put in again only by a new decision.
        newly = one.wanted - self._told.get(one.qualification, one.wanted)
        listed = known.members - known.removing - (newly & known.taken_out_there)
        added = self._names_of(one.wanted - listed - refused)
        removed = self._names_of(surplus - refused)
        # A site that does not show its list is told the whole of it by each process.
        told_too = frozenset() if shown is not None else former
        change = _Change(added, removed, self._names_of(told_too))
        if (added or removed) and not (shown is None and await self._is_still_refused(one, known, change)):
            await self._change(one, known, change)
        elif known.is_open:
            undone = SiteListAnswered(qualification=one.qualification, answer=Answer.NOT_SENT)
            await self._record(one, undone)
        elif shown is None and one.qualification not in self._told:
            with suppress(ListRefusedError):
                await self._mirror(one, self._names_of(one.wanted), self._names_of(told_too))
        self._told[one.qualification] = one.wanted

    async def _is_still_refused(self, one: _MirroredList, known: SiteListState, change: _Change) -> bool:
        """Tell a site that does not show its list the whole of it, and return True if nothing is new about that.

        Each process tells it once. What an earlier one was refused is not recorded again.
        """
        if (
            one.qualification in self._told
            or known.is_open
            or known.refused != change.added.keys() | change.removed.keys()
        ):
            return False
        try:
            await self._mirror(one, self._names_of(one.wanted), change.told_too | change.removed)
        except ListRefusedError as error:
            return self._note_refusal(one, error) == known.reason
        return False

    def _note_refusal(self, one: _MirroredList, error: ListRefusedError) -> str:
        """Keep in mind whether anything can be done about a refusal, and return its reason."""
        if isinstance(error, ListFrozenError):
            self._frozen.add(one.qualification)
        return redacted_text(str(error))[:MAX_REASON_LENGTH]

    def _warn(self, text: str, reason: str) -> None:
        if self._logs:
            logger.warning(text, run=self._run, reason=reason)

    async def _change(self, one: _MirroredList, known: SiteListState, change: _Change) -> None:
        """Record the change as intended, ask the site for it, and record its answer.

        Raises:
            Exception: the site may or may not have done it; the intention stays open.
        """
        added, removed = frozenset(change.added), frozenset(change.removed)
        if (known.adding, known.removing) != (added, removed):
            intended = SiteListIntended(
                qualification=one.qualification, added=tuple(sorted(added)), removed=tuple(sorted(removed))
            )
            known = await self._record(one, intended)
        self._stale_until[one.qualification] = trio.current_time() + LIST_LAG_SECONDS
        answered = SiteListAnswered(qualification=one.qualification, answer=Answer.DONE)
        self._frozen.discard(one.qualification)
        try:
            wanted = self._names_of(one.wanted - (known.taken_out_there - added))
            await self._mirror(one, wanted, change.told_too | change.removed)
        except ListRefusedError as error:
            reason = self._note_refusal(one, error)
            self._warn("the provider does not change a list of workers", reason)
            answered = SiteListAnswered(qualification=one.qualification, answer=Answer.REFUSED, reason=reason)
        except Exception as error:
            if known.answer is not Answer.UNKNOWN:
                unknown = Answer.UNKNOWN
                answered = SiteListAnswered(qualification=one.qualification, answer=unknown, reason=_reason_of(error))
                await self._record(one, answered)
            raise
        await self._record(one, answered)

    async def _mirror(self, one: _MirroredList, wanted: dict[WorkerId, str], removed: dict[WorkerId, str]) -> None:
        names, former = set(wanted.values()), set(removed.values())
        if one.name is None:
            await self._provider.mirror_blocks(names, former)
        else:
            await self._provider.mirror_qualification(one.name, names, former)

    def _once(self, one: _MirroredList, workers: Collection[WorkerState]) -> frozenset[WorkerId]:
        """Return the workers who are not in a list now, and of whose events one shows that they were."""
        return frozenset(
            each.worker
            for each in workers
            if each.worker not in one.wanted
            # A worker has one event for the registration.
            and self._ledger.state.version(streams.worker(each.worker)) > 1
            and any(
                one.shows(recorded.envelope.event) for recorded in self._ledger.log.history(streams.worker(each.worker))
            )
        )

    def _report(self, one: _MirroredList, problem: str) -> ListReport:
        known, outcome = self._known(one), RoundOutcome.SETTLED
        if known.is_open or problem:
            outcome = RoundOutcome.PENDING
        elif known.refused and one.qualification not in self._frozen:
            outcome = RoundOutcome.REFUSED
        return ListReport(
            qualification=one.name,
            outcome=outcome,
            reason=problem or known.reason,
            told=len(known.members),
            put_in_there=tuple(sorted(known.put_in_there - one.wanted)),
            taken_out_there=tuple(sorted(known.taken_out_there & one.wanted)),
        )

    def _known(self, one: _MirroredList) -> SiteListState:
        return list_of(self._ledger.state.task_runs[streams.task_run(self._run)].site_lists, one.qualification)

    async def _record(self, one: _MirroredList, event: SiteListEvent) -> SiteListState:
        """Record an event and return the state of the list after it."""
        await self._issuer.issue(RecordRunEvent(task_run=self._run, event=event))
        return self._known(one)

    def _names_of(self, workers: Collection[WorkerId]) -> dict[WorkerId, str]:
        """Return the provider's names of workers, without those that were erased."""
        return {worker: name for worker in workers if (name := name_of_worker(self._ledger.log, worker)) is not None}


def _grants(qualification: QualificationId) -> Callable[[Event], bool]:
    """Return the test for events that give somebody a qualification."""
    return lambda event: (
        isinstance(event, QualificationGranted | QualificationChanged) and event.qualification == qualification
    )


def _reason_of(error: Exception) -> str:
    return redacted_text(f"{type(error).__name__}: {error}")[:MAX_REASON_LENGTH]
