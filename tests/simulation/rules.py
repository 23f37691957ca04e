"""The rules of work and pay, checked by bookkeeping that shares no code with the decisions."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from hashlib import sha256

from mephisto_es.events import streams
from mephisto_es.events.agent import (
    AgentAccepted,
    AgentApproved,
    AgentCompletedAlone,
    AgentDisconnected,
    AgentExpired,
    AgentLateAccepted,
    AgentOpinionGiven,
    AgentRejected,
    AgentReturned,
    AgentSoftRejected,
    AgentStarted,
    AgentSubmitted,
    AgentTimedOut,
    AgentUpdateReceived,
    AgentVerdictWithdrawn,
    AgentWaiting,
)
from mephisto_es.events.assignment import AssignmentLabelled
from mephisto_es.events.base import Event
from mephisto_es.events.engagement import AllWorkEnded, WorkEnded, WorkStarted
from mephisto_es.events.ids import AgentId, AssignmentId, TaskRunId, UnitId, WorkerId
from mephisto_es.events.onboarding import (
    OnboardingDisconnected,
    OnboardingFailed,
    OnboardingPassed,
    OnboardingReturned,
    OnboardingStarted,
    OnboardingTimedOut,
    OnboardingUpdateReceived,
)
from mephisto_es.events.payment import (
    PaymentConfirmed,
    PaymentFailed,
    PaymentInDoubt,
    PaymentLooked,
    PaymentOwed,
    PaymentRequested,
    PaymentSent,
    PaymentSettledPaid,
    PaymentSettledUnpaid,
    PaymentWithdrawn,
    Sighting,
)
from mephisto_es.events.task_run import TaskRunBudgetChanged, TaskRunCreated, TaskRunRecovering, TaskRunStopping
from mephisto_es.events.unit import UnitAssigned, UnitCreated, UnitLateAccepted, UnitReleased, UnitReopened
from mephisto_es.events.worker import WorkerErased

from .crowd import PageRecord
from .invariants import StoredLog

_Ends = (AgentDisconnected, AgentExpired, AgentReturned, AgentTimedOut, AgentSubmitted, AgentCompletedAlone)
_OnboardingEnds = (
    OnboardingDisconnected,
    OnboardingFailed,
    OnboardingPassed,
    OnboardingReturned,
    OnboardingTimedOut,
)
_Verdicts = (AgentApproved, AgentSoftRejected, AgentRejected)
#: Outcomes of work that does not count against a worker's maximum.
UNCOUNTED = ("returned", "expired", "disconnect", "timeout", "partner disconnect")


def check_rules(log: StoredLog, page_record: PageRecord) -> None:
    """Check each event against those before it, the chain, and that the log has all that pages were given."""
    chain = log.genesis
    for row in log.raw():
        position = row.seq.to_bytes(8, "big") + row.epoch.to_bytes(8, "big")
        chain = sha256(chain + position + row.data).digest()
        assert row.chain == chain, f"seq {row.seq}: the chain does not cover position, writer and event"
    given = {token for tokens in page_record.agents.values() for token in tokens}
    books: dict[TaskRunId, _Book] = defaultdict(_Book)
    #: The live updates from the page of each agent; None once it has ended, when nobody looks for repeats any more.
    updates: dict[str, set[str] | None] = {}
    for seq, envelope in log.read():
        stream, event = envelope.stream, envelope.event
        try:
            if isinstance(event, AgentAccepted | OnboardingStarted):
                given.discard(event.token)
            if isinstance(event, (*_Ends, *_OnboardingEnds)):
                updates[stream] = None
            if isinstance(event, WorkerErased):
                worker = WorkerId(int(stream.rpartition("/")[2]))
                at_work = [
                    run for run, book in books.items() if any(book.worker_of[one] == worker for one in book.at_work)
                ]
                assert not at_work, f"worker-{worker} was erased while at work in {at_work}"
            elif isinstance(event, AgentUpdateReceived | OnboardingUpdateReceived):
                known = updates.setdefault(stream, set())
                if known is not None:
                    assert event.update_id not in known, f"{stream} sent {event.update_id} twice"
                    known.add(event.update_id)
            elif isinstance(event, TaskRunCreated):
                books[event.task_run].open(event)
            elif stream.split("/")[0] in {"assignment", "agent", "unit", "engagement", "payment", "task_run"}:
                books[streams.run_of(stream)].enter(stream, event)
        except AssertionError as error:
            raise AssertionError(f"seq {seq}: {error}") from None
    assert not given, f"pages were given agents that are not in the log: {sorted(given)}"


@dataclass
class _Book:
    """All that the rules need of one run."""

    allowed_concurrent: int = 0
    maximum_units: int = 0
    budget_cents: int | None = None
    fee_percent: int = 0
    owed_cents: int = 0
    worker_of: dict[AgentId, WorkerId] = field(default_factory=dict)
    unit_of: dict[AgentId, UnitId] = field(default_factory=dict)
    assignment_of: dict[UnitId, AssignmentId] = field(default_factory=dict)
    #: The agent that has each unit.
    holders: dict[UnitId, AgentId | None] = field(default_factory=dict)
    #: Agents that have neither submitted nor left.
    at_work: set[AgentId] = field(default_factory=set)
    waiting: set[AgentId] = field(default_factory=set)
    registrations: dict[str, AgentId] = field(default_factory=dict)
    #: Assignments of which each worker had a unit.
    seen: dict[WorkerId, set[AssignmentId]] = field(default_factory=lambda: defaultdict(set))
    live: dict[str, set[AgentId]] = field(default_factory=lambda: defaultdict(set))
    counted: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    uncounted: set[AgentId] = field(default_factory=set)
    #: Who has said what they think of work without a verdict.
    opinions: dict[AgentId, list[str]] = field(default_factory=lambda: defaultdict(list))
    #: The last stop of the run by the operator that lives.
    stopping: TaskRunStopping | None = None
    #: Payments that may have been made, although nobody knows.
    doubtful: set[str] = field(default_factory=set)

    def open(self, created: TaskRunCreated) -> None:
        """Note the limits of the run."""
        self.allowed_concurrent = created.allowed_concurrent
        self.maximum_units = created.maximum_units_per_worker
        self.budget_cents, self.fee_percent = created.budget_cents, created.fee_percent

    def enter(self, stream: str, event: Event) -> None:
        """Check an event, and note it."""
        kind = stream.split("/")[0]
        if kind == "agent":
            self._enter_agent(AgentId(int(stream.rpartition("/")[2])), event)
        elif kind == "unit":
            self._enter_unit(UnitId(int(stream.rpartition("/")[2])), event)
        elif isinstance(event, AssignmentLabelled):
            others = [
                unit for unit in event.units if self.assignment_of[unit] != AssignmentId(int(stream.rpartition("/")[2]))
            ]
            assert not others, f"{stream} was labelled after a look at units {others} of other items"
        elif kind == "engagement":
            self._enter_engagement(stream, event)
        elif kind == "payment":
            self._enter_payment(stream, event)
        elif isinstance(event, TaskRunBudgetChanged):
            self.budget_cents = event.budget_cents
        elif isinstance(event, TaskRunStopping):
            self.stopping = event
        elif isinstance(event, TaskRunRecovering):
            self.stopping = None

    def _enter_agent(self, agent: AgentId, event: Event) -> None:
        if isinstance(event, AgentAccepted):
            self._accept(event)
        elif isinstance(event, AgentWaiting):
            self.waiting.add(agent)
        elif isinstance(event, AgentStarted):
            self._start(agent)
        elif isinstance(event, _Ends):
            if isinstance(event, AgentSubmitted):
                assert agent not in self.waiting, f"agent-{agent} submitted while it waited for partners"
            if isinstance(event, AgentExpired) and agent not in self.waiting:
                self._expire(agent, event)
            self.at_work.discard(agent)
            self.waiting.discard(agent)
            if isinstance(event, AgentExpired) and event.may_retry:
                self.registrations = {page: one for page, one in self.registrations.items() if one != agent}
        elif isinstance(event, (*_Verdicts, AgentOpinionGiven)):
            self._judge(agent, event)
        elif isinstance(event, AgentVerdictWithdrawn):
            self.opinions[agent].clear()
        elif isinstance(event, AgentLateAccepted):
            assert agent not in self.at_work, f"agent-{agent} was accepted as late while it was at work"

    def _accept(self, event: AgentAccepted) -> None:
        worker, assignment = event.worker, event.assignment
        has = self.registrations.get(event.registration)
        assert has is None or self.worker_of[has] != worker, f"the page of agent-{has} got agent-{event.agent}, too"
        assert assignment not in self.seen[worker], f"worker-{worker} got assignment {assignment} twice"
        self.seen[worker].add(assignment)
        self.registrations[event.registration] = event.agent
        self.worker_of[event.agent], self.unit_of[event.agent] = worker, event.unit
        self.at_work.add(event.agent)

    def _start(self, agent: AgentId) -> None:
        """Start an agent: whoever has waited starts once all partners are there."""
        if agent not in self.waiting:
            return
        assignment = self.assignment_of[self.unit_of[agent]]
        there = {self.unit_of[one] for one in self.at_work}
        missing = [unit for unit, one in self.assignment_of.items() if one == assignment and unit not in there]
        assert not missing, f"agent-{agent} started without a partner on units {missing}"
        self.waiting.discard(agent)

    def _expire(self, agent: AgentId, event: AgentExpired) -> None:
        """Take the work from somebody who does not wait for partners."""
        stopping = self.stopping
        if stopping is not None and event.reason == stopping.reason:
            assert stopping.at_once, f"agent-{agent} lost its work, and the log does not say that the run ends at once"

    def _judge(self, agent: AgentId, event: Event) -> None:
        assert agent not in self.at_work, f"agent-{agent} was judged while it was at work"
        assert self.holders[self.unit_of[agent]] == agent, f"agent-{agent} was judged for a unit that it does not have"
        assert isinstance(event, AgentApproved | AgentSoftRejected | AgentRejected | AgentOpinionGiven)
        opinions = self.opinions[agent]
        if len(opinions) == 1 and event.reviewer is not None and event.reviewer.startswith("user/"):
            assert event.reviewer != opinions[0], f"{event.reviewer} was the second reviewer of agent-{agent}, too"
        if isinstance(event, AgentOpinionGiven):
            opinions.append(event.reviewer)
        else:
            opinions.clear()

    def _enter_unit(self, unit: UnitId, event: Event) -> None:
        if isinstance(event, UnitCreated):
            self.assignment_of[unit] = event.assignment
        elif isinstance(event, UnitAssigned | UnitLateAccepted):
            self.holders[unit] = event.agent
        elif isinstance(event, UnitReleased | UnitReopened):
            self.holders[unit] = None

    def _enter_engagement(self, stream: str, event: Event) -> None:
        if isinstance(event, WorkStarted):
            live, counted = len(self.live[stream]), self.counted[stream]
            if self.allowed_concurrent:
                assert live < self.allowed_concurrent, f"{stream} has {live} units, and got another"
            if self.maximum_units:
                assert counted < self.maximum_units, f"{stream} had {counted} units, and got another"
            self.live[stream].add(event.agent)
            if event.counts:
                self.counted[stream] += 1
            else:
                self.uncounted.add(event.agent)
        elif isinstance(event, WorkEnded | AllWorkEnded):
            self.live[stream].discard(event.agent)
            if event.outcome in UNCOUNTED and event.agent not in self.uncounted:
                self.counted[stream] -= 1
            if event.may_retry is not None:
                self.seen[self.worker_of[event.agent]].discard(event.may_retry)

    def _enter_payment(self, stream: str, event: Event) -> None:
        match event:
            case PaymentOwed() | PaymentWithdrawn():
                cost = -(-event.amount_cents * (100 + self.fee_percent) // 100)
                self.owed_cents += cost if isinstance(event, PaymentOwed) else -cost
                limit = self.budget_cents
                assert limit is None or self.owed_cents <= limit, f"{self.owed_cents} cents are owed of {limit}"
            case PaymentRequested():
                assert event.is_repeatable or stream not in self.doubtful, f"{stream} was requested again, unseen"
                self.doubtful.add(stream)
            case PaymentLooked(sighting=sighting):
                (self.doubtful.discard if sighting is Sighting.NOT_THERE else self.doubtful.add)(stream)
            case PaymentSent() | PaymentConfirmed() | PaymentFailed() | PaymentSettledPaid() | PaymentSettledUnpaid():
                self.doubtful.discard(stream)
            case PaymentInDoubt():
                self.doubtful.add(stream)
            case _:
                pass
