"""Decides which events people want to be notified of, and puts them into words."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from ...core.decisions.settlement import CrowdSite
from ...core.decisions.task_run import admission_paused_text, offer_paused_text
from ...core.state.budget import Budget
from ...events import streams
from ...events.agent import AgentAppealed
from ...events.codec import KIND_OF
from ...events.envelope import RecordedEvent
from ...events.ids import TaskRunId
from ...events.payment import PaymentOwed, PaymentWithdrawn
from ...events.task_run import (
    CallbackFailed,
    SiteOffer,
    TaskRunAdmissionPaused,
    TaskRunCompleted,
    TaskRunCreated,
    TaskRunFailed,
    TaskRunOfferChanged,
    TaskRunPaused,
)
from ...events.unit import (
    UnitAccepted,
    UnitCompleted,
    UnitRejected,
    UnitReopened,
    UnitSoftRejected,
    UnitVerdictWithdrawn,
)
from ...projections.mephisto_db.rows import date_of
from ...projections.queries.history.event_text import describe
from ..advice import with_database
from ..providers.terms import TERMS

#: Kinds of notices, with what each says. The names of all kinds of events can be chosen besides.
NOTICE_KINDS = {
    "paused": "a run is paused",
    "failed": "a run has failed",
    "completed": "a run is completed",
    "admission": "newcomers get no work because a function of the task keeps failing",
    "budget": "half, four fifths or all of a run's budget is committed",
    "callbacks": "a function of the task has failed",
    "appeals": "a worker objects to a rejection",
    "approvals": "the site approves work within 48 hours unless it is reviewed",
    "anchor": "the head of the log is not kept outside the database",
    "disk": "the disk with the log is nearly full",
}
#: Parts of a budget that are worth a notice, in percent.
BUDGET_PERCENTS = (50, 80, 100)
#: Time before the site's own approval at which reviewers are reminded.
REMINDER_HOURS = 48

_HOUR_US = 3_600_000_000
_KINDS_OF_EVENTS = {
    TaskRunPaused: "paused",
    TaskRunFailed: "failed",
    TaskRunCompleted: "completed",
    CallbackFailed: "callbacks",
}


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to notify people of. It holds no personal value."""

    #: The same whenever the notice is sent again, so that a receiver can tell.
    id: str
    #: Position of the event in the log, or of the log's head.
    seq: int
    #: One of `NOTICE_KINDS`, or the kind of an event.
    kind: str
    #: None: it concerns the log as a whole.
    run: int | None
    #: UTC.
    at: str
    text: str


def notice(seq: int, kind: str, at_us: int, text: str, run: TaskRunId | None = None) -> Notice:
    """Return a notice; its id follows from position and kind."""
    return Notice(id=f"{seq}-{kind}", seq=seq, kind=kind, run=run, at=date_of(at_us), text=text)


class NoticeRules:
    """The events of a log as far as they make notices; the same events always make the same ones."""

    def __init__(self, kinds: Collection[str], database: str = "") -> None:
        """Choose the kinds.

        Args:
            kinds: members of `NOTICE_KINDS`, and kinds of events.
            database: the log as the commands in notices name it; empty: they name none.
        """
        self._kinds = frozenset(kinds)
        self._database = database
        self._budgets: dict[TaskRunId, Budget] = {}
        self._approval_days: dict[TaskRunId, int] = {}
        #: Units that wait for a review: position and time of their completion.
        self._unreviewed: dict[str, tuple[int, int]] = {}

    def apply(self, recorded: RecordedEvent) -> Iterator[Notice]:
        """Apply the next event, and yield its notices."""
        for kind, text in self._texts(recorded):
            stream = recorded.envelope.stream
            run = None if streams.partition_of(stream) == streams.DIRECTORY else streams.run_of(stream)
            advised = with_database(text, self._database) if self._database else text
            yield notice(recorded.seq, kind, recorded.envelope.at, advised, run)

    def due(self, after_us: int, until_us: int) -> Iterator[Notice]:
        """Yield reminders of work that a site is about to approve, one for each run and hour.

        Args:
            after_us: reminders due until then were sent before.
            until_us: the present time.
        """
        if "approvals" not in self._kinds:
            return
        found: dict[tuple[int, TaskRunId], list[int]] = {}
        for stream, (seq, at) in self._unreviewed.items():
            run = streams.run_of(stream)
            if (days := self._approval_days.get(run)) is not None:
                due = at + (days * 24 - REMINDER_HOURS) * _HOUR_US
                hour = -(-due // _HOUR_US) * _HOUR_US
                if after_us < hour <= until_us:
                    found.setdefault((hour, run), []).append(seq)
        for (hour, run), seqs in sorted(found.items()):
            count = f"{len(seqs)} unit{'s' * (len(seqs) > 1)}"
            text = f"run {run}: the site approves {count} within {REMINDER_HOURS} hours unless you review them"
            yield notice(max(seqs), "approvals", hour, text, run)

    def _texts(self, recorded: RecordedEvent) -> Iterator[tuple[str, str]]:
        event, stream = recorded.envelope.event, recorded.envelope.stream
        kind = KIND_OF[type(event)]
        if kind in self._kinds:
            yield kind, f"{stream}: {describe(event)}"
        match event:
            case TaskRunCreated():
                run = event.task_run
                self._budgets[run] = Budget(event.budget_cents, event.fee_percent, event.bonus_limit_cents)
                self._approval_days.update(_approval_days(run, event.provider_type))
            case TaskRunAdmissionPaused() if "admission" in self._kinds:
                yield "admission", admission_paused_text(streams.run_of(stream), event.function)
            case TaskRunOfferChanged(offer=SiteOffer.PAUSED_THERE) if "admission" in self._kinds:
                yield "admission", offer_paused_text(streams.run_of(stream))
            case PaymentOwed():
                percent = self._commit(streams.run_of(stream), event.amount_cents)
                if percent is not None and "budget" in self._kinds:
                    yield "budget", f"run {streams.run_of(stream)}: {percent} % of the budget is committed"
            case AgentAppealed() if "appeals" in self._kinds:
                command = f"`mephisto-es review {streams.run_of(stream)} --appeals`"
                yield "appeals", f"{stream}: the worker objects to the rejection; {command} lists all objections"
            case PaymentWithdrawn():
                budget = self._budgets[streams.run_of(stream)]
                budget.committed_cents -= budget.with_fee(event.amount_cents)
            case UnitCompleted() | UnitVerdictWithdrawn():
                self._unreviewed[stream] = (recorded.seq, recorded.envelope.at)
            case UnitAccepted() | UnitSoftRejected() | UnitRejected() | UnitReopened():
                self._unreviewed.pop(stream, None)
            case TaskRunPaused() | TaskRunFailed() | TaskRunCompleted() | CallbackFailed():
                named = _KINDS_OF_EVENTS[type(event)]
                if named in self._kinds:
                    yield named, f"run {streams.run_of(stream)}: {describe(event)}"
            case _:
                pass

    def _commit(self, run: TaskRunId, cents: int) -> int | None:
        """Note what is owed; return the part of the budget that it completes, in percent."""
        budget = self._budgets[run]
        before = budget.committed_cents
        budget.committed_cents += budget.with_fee(cents)
        if not budget.limit_cents:
            return None
        marks = {percent: budget.limit_cents * percent / 100 for percent in BUDGET_PERCENTS}
        passed = [percent for percent, mark in marks.items() if before < mark <= budget.committed_cents]
        return max(passed, default=None)


def _approval_days(run: TaskRunId, provider_type: str) -> dict[TaskRunId, int]:
    sites = {site.value: site for site in CrowdSite}
    terms = TERMS.get(sites[provider_type]) if provider_type in sites else None
    return {} if terms is None or terms.auto_approval_days is None else {run: terms.auto_approval_days}
