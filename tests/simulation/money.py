"""The invariants of requests and money."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

from mephisto_es.core.commands.review import Verdict
from mephisto_es.core.lifecycles.agent import AgentStatus
from mephisto_es.core.lifecycles.payment import PAY, UNPAID_STATUSES, PaymentStatus
from mephisto_es.core.lifecycles.unit import UnitStatus
from mephisto_es.core.lifecycles.worker import WorkerStatus
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events import streams
from mephisto_es.events.agent import AgentAccepted
from mephisto_es.events.assignment import AssignmentLabelled
from mephisto_es.events.ids import AgentId, TaskRunId
from mephisto_es.events.payment import PaymentOwed

from .invariants import StoredLog
from .office import Requests
from .site import Entry, Site

REWARD_CENTS = 10
#: Units that may still have to be paid for.
_KEPT_FOR = (UnitStatus.LAUNCHED, UnitStatus.ASSIGNED, UnitStatus.COMPLETED)
_STATUS: Mapping[Verdict | None, AgentStatus] = {
    None: AgentStatus.COMPLETED,
    Verdict.APPROVED: AgentStatus.APPROVED,
    Verdict.SOFT_REJECTED: AgentStatus.SOFT_REJECTED,
    Verdict.REJECTED: AgentStatus.REJECTED,
}


def check_requests(log: StoredLog, told: Requests, *, is_shared: bool = False) -> None:
    """Everything that the requester was told is in the log, once; nobody blocked got work, and no budget was passed.

    In a shared log, somebody may be blocked during the turn that gives work: others check that.
    """
    state = DecisionState()
    for _, events in groupby(log.read(), lambda recorded: recorded.envelope.command):
        for seq, envelope in events:
            if envelope.command in told.labels and isinstance(envelope.event, AssignmentLabelled):
                decided = state.assignments[envelope.stream].label_of(envelope.event.question)
                decisions, known = 0 if decided is None else decided.decisions, told.labels[envelope.command]
                assert decisions == known, f"seq {seq}: decided knowing {known} of {decisions} decisions"
            if isinstance(envelope.event, AgentAccepted) and not is_shared:
                status = state.workers[streams.worker(envelope.event.worker)].status
                assert status is WorkerStatus.REGISTERED, f"seq {seq}: a {status.value} worker got work"
            state.apply(envelope)
        for run, index in state.runs.items():
            limit, cost = index.budget.limit_cents, _cost_cents(state, run)
            assert limit is None or cost <= limit, f"seq {seq}: run {run} is {cost - limit} cents over its budget"
    for (number, agent), verdict in told.verdicts.items():
        found = state.agents[streams.agent(TaskRunId(number), AgentId(agent))].status
        assert found is _STATUS[verdict], f"agent-{agent} is {found.value}, and was told to be {verdict}"
    for key, (worker, cents) in told.bonuses.items():
        owed = [one.envelope.event for one in log.find(key) if isinstance(one.envelope.event, PaymentOwed)]
        assert [(one.worker, one.amount_cents) for one in owed] == [(worker, cents)], f"{key} is owed as {owed}"
    for worker in told.erased:
        assert state.workers[streams.worker(worker)].status is WorkerStatus.ERASED, f"worker-{worker} is not erased"


def check_money(log: StoredLog, site: Site) -> None:
    """Everything that is owed was paid once, nothing else was, and the site's books say so too."""
    state = DecisionState()
    for recorded in log.read():
        state.apply(recorded.envelope)
    paid: dict[Entry, PaymentStatus] = {}
    owed_for: dict[str, list[int]] = {}
    for stream, payment in state.payments.items():
        run = streams.run_of(stream)
        assert payment.status not in UNPAID_STATUSES, f"{stream} was left {payment.status.value}"
        if payment.status is not PaymentStatus.WITHDRAWN:
            paid[int(run), int(payment.payment), payment.amount_cents] = payment.status
            if payment.purpose == PAY:
                owed_for.setdefault(streams.agent(run, payment.agent), []).append(payment.amount_cents)
    assert not site.too_early, f"{site.too_early} were asked for before the log had the requests"
    made = {entry: len(times) for entry, times in site.paid.items() if times}
    assert made == dict.fromkeys(paid, 1), f"owed {paid}, paid {made}"
    for stream, agent in state.agents.items():
        is_paid = agent.status in (AgentStatus.APPROVED, AgentStatus.SOFT_REJECTED)
        expected = [REWARD_CENTS] if is_paid else []
        assert owed_for.get(stream, []) == expected, f"{stream} is {agent.status.value}, owed {owed_for.get(stream)}"


def _cost_cents(state: DecisionState, run: TaskRunId) -> int:
    """Return what is owed in a run and what its units may still cost, each payment rounded up with its fee."""
    budget = state.runs[run].budget

    def cost(cents: int) -> int:
        return -(-cents * (100 + budget.fee_percent) // 100)

    owed = sum(
        cost(payment.amount_cents)
        for stream, payment in state.payments.items()
        if streams.run_of(stream) == run and payment.status is not PaymentStatus.WITHDRAWN
    )
    units = (state.units[streams.unit(run, unit)] for units in state.runs[run].units_of.values() for unit in units)
    kept = [unit.pay_cents for unit in units if unit.status in _KEPT_FOR]
    return owed + sum(cost(cents) + cost(budget.bonus_limit_cents) for cents in kept)
