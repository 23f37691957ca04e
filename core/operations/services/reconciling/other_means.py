"""Finds work that a person has paid by other means than the provider's, and what its crowd site makes of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from .....events import streams
from .....events.engagement import PAID_THERE_STATUSES, ProviderObserved, SiteWorkStatus
from .....events.ids import AgentId, TaskRunId
from .....events.payment import PaymentSettledPaid
from ....abstractions.crowd.differences import SiteDifference
from ....ledger import Ledger
from ....lifecycles.agent import AgentRecord, AgentStatus
from ....lifecycles.onboarding import OnboardingRecord
from ....lifecycles.payment import BONUS, PAY, UNPAID_STATUSES, PaymentState, PaymentStatus
from ...configuration.money import amount
from ...control.round_report import RoundOutcome

#: Statuses of work that is paid here.
_PAID_HERE = frozenset({AgentStatus.APPROVED, AgentStatus.SOFT_REJECTED})
#: Differences with which the site cannot pay the work.
_NOT_PAYABLE_THERE = frozenset({SiteDifference.NOT_COMPLETED, SiteDifference.RETURNED_THERE})


class MoneyDifference(NamedTuple):
    """A difference about a piece of work that its payments explain, or that they are."""

    difference: SiteDifference
    outcome: RoundOutcome
    reason: str
    #: The reasons that a person gave with the decisions. They may have personal values.
    note: str | None


class RunPayments:
    """The payments of one run by agent, as the log has them now."""

    def __init__(self, ledger: Ledger, run: TaskRunId, *, reads_notes: bool = True) -> None:
        """Read them.

        Args:
            ledger: reads the log.
            run: the run.
            reads_notes: whether the reasons for decisions are wanted; they are read from the log.
        """
        self._reads_notes = reads_notes
        self._ledger = ledger
        self._run = run
        self._by_agent: defaultdict[AgentId, list[PaymentState]] = defaultdict(list)
        prefix = f"payment/{run}/"
        for stream, payment in ledger.state.payments.items():
            if stream.startswith(prefix) and payment.status is not PaymentStatus.WITHDRAWN:
                self._by_agent[payment.agent].append(payment)

    def of(self, agent: AgentId) -> Sequence[PaymentState]:
        """Return the payments of an agent that were not taken back."""
        return self._by_agent.get(agent, ())

    def note_of(self, payments: Sequence[PaymentState]) -> str | None:
        """Return the reasons that a person gave for payments; None: there is none, it was erased, or is not wanted.

        Raises:
            LogError: the log cannot be read.
        """
        notes: dict[str, None] = {}
        for payment in payments if self._reads_notes else ():
            for recorded in self._ledger.log.history(streams.payment(self._run, payment.payment)):
                event = recorded.envelope.event
                if isinstance(event, PaymentSettledPaid) and event.reason is not None:
                    note = self._ledger.log.payload(event.reason)
                    notes |= {} if note is None else {note.decode(): None}
        return "; ".join(notes) or None

    def difference(
        self,
        work: AgentRecord | OnboardingRecord | None,
        shown: ProviderObserved | None,
        found: SiteDifference | None,
    ) -> MoneyDifference | None:
        """Return what the payments of a piece of work say about how log and site differ; None: nothing.

        Args:
            work: what the worker of the place does here.
            shown: how the site showed it last.
            found: how they differ without looking at payments.

        Raises:
            LogError: the log cannot be read.
        """
        if not isinstance(work, AgentRecord) or work.status not in _PAID_HERE:
            return None
        payments = self.of(work.agent)
        elsewhere = [one for one in payments if one.is_paid_elsewhere]
        if found in _NOT_PAYABLE_THERE:
            return self._settled(found, payments, elsewhere)
        if found is not None or shown is None or not elsewhere:
            return None
        note = self.note_of(elsewhere)
        if (twice := paid_twice(payments, shown)) is not None:
            return MoneyDifference(SiteDifference.PAID_TWICE, RoundOutcome.FOR_PERSON, twice, note)
        if shown.status is SiteWorkStatus.SUBMITTED and any(one.purpose == PAY for one in elsewhere):
            at = shown.approved_by_site_at
            reason = "" if at is None else f"it pays at {datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
            return MoneyDifference(SiteDifference.PAID_ELSEWHERE, RoundOutcome.FOR_PERSON, reason, note)
        return None

    def _settled(
        self, found: SiteDifference, payments: Sequence[PaymentState], elsewhere: Sequence[PaymentState]
    ) -> MoneyDifference | None:
        """Return a difference that a person has settled by paying: the site must not be asked to complete the work."""
        open_cents = sum(one.amount_cents for one in payments if one.status in UNPAID_STATUSES)
        if elsewhere and open_cents:
            reason = f"paid by other means but for {amount(open_cents)}"
            return MoneyDifference(found, RoundOutcome.FOR_PERSON, reason, self.note_of(elsewhere))
        if elsewhere:
            return MoneyDifference(found, RoundOutcome.SETTLED, "paid by other means", self.note_of(elsewhere))
        if not payments and found is SiteDifference.RETURNED_THERE:
            return MoneyDifference(found, RoundOutcome.SETTLED, "nothing is owed for it", None)
        return None


def paid_twice(payments: Sequence[PaymentState], shown: ProviderObserved) -> str | None:
    """Return which of an agent's payments were made by other means and by the site, too; None: none.

    Args:
        payments: those of the agent.
        shown: how the site showed the work last.
    """
    elsewhere = {purpose: _cents(payments, purpose, is_elsewhere=True) for purpose in (PAY, BONUS)}
    twice = []
    if elsewhere[PAY] and shown.status in PAID_THERE_STATUSES:
        twice.append(f"the {PAY} of {amount(elsewhere[PAY])}")
    more_cents = shown.bonus_cents - _cents(payments, BONUS, is_elsewhere=False)
    if elsewhere[BONUS] and more_cents > 0:
        twice.append(f"{amount(more_cents)} as {BONUS}")
    return " and ".join(twice) or None


def _cents(payments: Sequence[PaymentState], purpose: str, *, is_elsewhere: bool) -> int:
    return sum(one.amount_cents for one in payments if one.purpose == purpose and one.is_paid_elsewhere is is_elsewhere)
