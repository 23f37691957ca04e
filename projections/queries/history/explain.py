"""Explains from the recorded decisions why a worker was admitted or refused, and who or what got a unit or lost it.

A refusal is an event that names its rule. An admission does not name rules, because all of them held; so the same rules
are evaluated again on the state that the log gives at that position. They depend on recorded facts only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from ....core.decisions.admission_rules import Check, admission
from ....core.entity_ref import EntityRef
from ....core.lifecycles import agent as agents
from ....core.lifecycles import engagement as engagements
from ....core.lifecycles import task_run as task_runs
from ....core.lifecycles import worker as workers
from ....events import streams
from ....events.agent import AgentDisconnected, AgentExpired, AgentReturned, AgentTimedOut
from ....events.assignment import AssignmentExtended, AssignmentLabelled, AssignmentSettled
from ....events.base import Event, kind_of
from ....events.engagement import (
    AllWorkEnded,
    CallbackAnswered,
    WorkEnded,
    WorkerAssessed,
    WorkerExcluded,
    WorkerRefused,
    WorkStarted,
)
from ....events.envelope import RecordedEvent
from ....events.ids import AgentId, AssignmentId, TaskRunId, UnitId, WorkerId
from ....events.task_run import CallbackFailed
from ....events.unit import UnitExpired, UnitLaunched, UnitReleased
from ...mephisto_db.data_model import assignment_status
from ...mephisto_db.rows import date_of
from ..as_of import AsOf
from ..entity_ref import stream_of
from .event_text import describe

S = TypeVar("S")
E = TypeVar("E", bound=Event)

_DEPARTURES = (AgentDisconnected, AgentTimedOut, AgentReturned, AgentExpired)
#: Characters of a reviewer's answer that are shown.
MAX_ANSWER = 60
_FIRST_OFFERED = "first_offered"
_AGENTS_OF_WORKER = "SELECT agent_id FROM agents WHERE worker_id = ?"


class RuleResult(msgspec.Struct, frozen=True):
    """The inputs of one rule, and whether it held."""

    rule: str
    inputs: Mapping[str, str | int | bool | None]
    holds: bool


class ExplanationStep(msgspec.Struct, frozen=True):
    """One decision or event, with the rules behind it."""

    seq: int
    #: UTC.
    at: str
    #: The entity it is about.
    entity: str
    #: The kind of the event, such as `work_started`.
    kind: str
    #: The event in words.
    text: str
    #: The actor whose command caused it.
    actor: str
    rules: tuple[RuleResult, ...] = ()


class Explanation(msgspec.Struct, frozen=True):
    """The decisions that led an agent, a worker or an assignment to its current status."""

    entity: str
    #: The outcome, in one sentence.
    summary: str
    #: In log order.
    steps: tuple[ExplanationStep, ...]


def explain_worker(as_of: AsOf, worker: WorkerId) -> Explanation:
    """Explain everything that was decided about a worker, in all runs.

    Raises:
        UnknownEntityError: there is no such worker.
    """
    entity = EntityRef("worker", worker)
    history = as_of.stream(stream_of(as_of.db, entity))
    steps = [_step(entity, recorded) for recorded in history]
    theirs = frozenset(one for (one,) in as_of.db.execute(_AGENTS_OF_WORKER, (worker,)))
    for (run,) in as_of.db.execute("SELECT task_run_id FROM task_runs ORDER BY task_run_id").fetchall():
        engagement = _Engagement(as_of, TaskRunId(run), worker, history)
        steps += [*engagement.steps(), *engagement.failures(worker, theirs)]
    steps.sort(key=lambda step: step.seq)
    state = _fold(workers.evolve, history)
    assigned = sum(step.kind == kind_of(WorkStarted) for step in steps)
    refused = sum(any(not rule.holds for rule in step.rules) for step in steps)
    summary = f"{state.status.value if state else 'unknown'}; was assigned {assigned} units and refused {refused} times"
    return Explanation(str(entity), summary, tuple(steps))


def explain_assignment(as_of: AsOf, assignment: AssignmentId) -> Explanation:
    """Explain why an assignment has as many units as it has, and what became of each.

    Raises:
        UnknownEntityError: there is no such assignment.
    """
    entity = EntityRef("assignment", assignment)
    stream = stream_of(as_of.db, entity)
    run = streams.run_of(stream)
    units = [row.unit_id for row in as_of.db.find_units(assignment_id=assignment)]
    steps = [
        *(
            _step(entity, recorded, _decision(as_of, recorded.envelope.event), _label_rules(recorded.envelope.event))
            for recorded in as_of.stream(stream)
        ),
        *(
            _step(EntityRef("unit", unit), recorded)
            for unit in units
            for recorded in as_of.stream(streams.unit(run, unit))
        ),
    ]
    steps.sort(key=lambda step: step.seq)
    status = assignment_status(unit.status for unit in as_of.db.find_units(assignment_id=assignment))
    return Explanation(str(entity), f"{status}; has {len(units)} units in run-{run}", tuple(steps))


def _decision(as_of: AsOf, event: Event) -> str | None:
    """Return the text of a reviewer's decision with the answer, which may have been erased; None for other events."""
    if not isinstance(event, AssignmentLabelled) or event.label is None:
        return None
    answer = as_of.db.read_text(event.label)
    if answer is None:
        return f"{describe(event)}; the answer was erased"
    shown = "".join(letter if letter.isprintable() else " " for letter in answer[:MAX_ANSWER])
    return f"{describe(event)}: {shown}{'…' * (len(answer) > MAX_ANSWER)}"


def _label_rules(event: Event) -> tuple[RuleResult, ...]:
    """Return the rules of a decision about further units, with the numbers that they were applied to."""
    if not isinstance(event, AssignmentExtended | AssignmentSettled):
        return ()
    evidence, answers = event.evidence, len(event.evidence.agents)
    usable = sum(evidence.counts)
    model: dict[str, str | int | bool | None] = {
        "label": evidence.label,
        "posterior": f"{evidence.posterior:.4f}",
        "needed": f"{evidence.confidence:g}",
        "answers by class": ", ".join(map(str, evidence.counts)),
        "model": evidence.model.value,
        "accuracy": f"{evidence.accuracy:.3f}",
        "estimated from answers": evidence.estimated_from,
    }
    numbers: dict[str, str | int | bool | None] = {"answers": answers, "of a class": usable}
    return (
        RuleResult("enough_answers", numbers | {"min": evidence.least}, usable >= evidence.least),
        RuleResult("sure_enough", model, evidence.posterior >= evidence.confidence),
        RuleResult("as_many_as_allowed", {"answers": answers, "max": evidence.most}, answers >= evidence.most),
    )


def explain_agent(as_of: AsOf, agent: AgentId) -> Explanation:
    """Explain why an agent was assigned its unit, and what happened to it since.

    Raises:
        UnknownEntityError: there is no such agent.
    """
    entity = EntityRef("agent", agent)
    row = as_of.db.get_agent(agent)
    run, worker, unit = row.task_run_id, row.worker_id, row.unit_id
    history = as_of.stream(streams.agent(run, agent))
    engagement = _Engagement(as_of, run, worker, as_of.stream(streams.worker(worker)))
    failures = engagement.failures(None, frozenset({agent}))
    steps = [*engagement.steps_of(agent, unit), *_status_steps(entity, history), *failures]
    steps.sort(key=lambda step: step.seq)
    state = _fold(agents.evolve, history)
    summary = f"{state.status.value if state else 'unknown'}; worker-{worker} on unit-{unit} of run-{run}"
    return Explanation(str(entity), summary, tuple(steps))


class _Engagement:
    """The decisions about one worker in one run."""

    def __init__(self, as_of: AsOf, run: TaskRunId, worker: WorkerId, worker_history: Sequence[RecordedEvent]) -> None:
        self._as_of = as_of
        self._run = run
        self._entity = f"{EntityRef('worker', worker)} in {EntityRef('run', run)}"
        self._worker_history = worker_history
        self._history = as_of.stream(streams.engagement(run, worker))
        self._run_history = as_of.stream(streams.task_run(run))

    def steps(self) -> Iterator[ExplanationStep]:
        """Yield all decisions."""
        state: engagements.EngagementState | None = None
        for recorded in self._history:
            event = recorded.envelope.event
            yield _step(self._entity, recorded, self._text(recorded), tuple(self._rules(recorded, state)))
            state = engagements.evolve(state, event)  # type: ignore[arg-type]  # the stream holds no other events

    def failures(self, worker: WorkerId | None, theirs: Collection[AgentId]) -> Iterator[ExplanationStep]:
        """Yield the failures of the run's code that were about a worker, or about one of some agents."""
        for recorded in self._run_history:
            event = recorded.envelope.event
            if not isinstance(event, CallbackFailed):
                continue
            if (worker is not None and event.worker == worker) or not set(theirs).isdisjoint(event.agents):
                yield _step(self._entity, recorded)

    def steps_of(self, agent: AgentId, unit: UnitId) -> list[ExplanationStep]:
        """Return the decisions that an agent began and ended with."""
        return [
            step
            for recorded, step in zip(self._history, self.steps(), strict=True)
            if _is_about(recorded.envelope.event, agent, unit)
        ]

    def _rules(self, recorded: RecordedEvent, before: engagements.EngagementState | None) -> Iterator[RuleResult]:
        match recorded.envelope.event:
            case WorkStarted(unit=unit, evaluation=evaluation, counts=is_ordinary):
                yield from map(_result, self._admission(recorded.seq, before))
                if evaluation is not None:
                    yield RuleResult(evaluation, {"unit": unit}, True)
                if is_ordinary:
                    yield RuleResult(_FIRST_OFFERED, self._offer(unit, recorded.seq), True)
            case WorkerAssessed(callback=callback, facts=facts, answer=answer):
                yield RuleResult(callback, facts, answer)
            case WorkerRefused(rule=rule, inputs=inputs):
                yield RuleResult(rule, inputs, False)
            case CallbackAnswered(callback=callback, unit=unit, answer=bool() as answer):
                yield RuleResult(callback, {"unit": unit}, answer)
            case WorkerExcluded(reason=reason):
                yield RuleResult("not_excluded", {"reason": reason}, False)
            case _:
                return

    def _admission(self, seq: int, before: engagements.EngagementState | None) -> Iterator[Check]:
        run = _fold(task_runs.evolve, _before(self._run_history, seq))
        worker = _fold(workers.evolve, _before(self._worker_history, seq))
        if run is None or worker is None:
            return iter(())
        return admission(run, worker, before, self._counted(run, worker.worker, seq, before))

    def _counted(
        self, run: task_runs.TaskRunState, worker: WorkerId, seq: int, before: engagements.EngagementState | None
    ) -> int:
        """Return how many units of the worker counted against the maximum of the run at that time."""
        here = before.counted if before else 0
        if not run.maximum_is_per_task:
            return here
        others = (row.task_run_id for row in self._as_of.db.find_task_runs(task_id=run.task))
        names = (streams.engagement(other, worker) for other in others if other != self._run)
        histories = (_before(self._as_of.stream(name), seq) for name in names)
        found = (_fold(engagements.evolve, history) for history in histories)
        return here + sum(engagement.counted for engagement in found if engagement is not None)

    def _offer(self, unit: UnitId, seq: int) -> dict[str, str | int | bool | None]:
        """Return why this unit was selected: it had been offered longer than any other unit new to the worker."""
        history = _before(self._as_of.stream(streams.unit(self._run, unit)), seq)
        launched = [
            recorded for recorded in history if isinstance(recorded.envelope.event, UnitLaunched | UnitReleased)
        ]
        return {"unit": unit, "offered since": date_of(launched[-1].envelope.at) if launched else None}

    def _text(self, recorded: RecordedEvent) -> str:
        """Describe an event without its rules. For work that was not submitted, say what happened to the unit."""
        text = describe(recorded.envelope.event)
        if isinstance(recorded.envelope.event, WorkerRefused):
            return f"was refused and shown {recorded.envelope.event.reason.name}"
        if not isinstance(recorded.envelope.event, WorkEnded | AllWorkEnded):
            return text
        together = [other.envelope for other in self._as_of.command(recorded.envelope.command)]
        reasons = [one.event.reason for one in together if isinstance(one.event, _DEPARTURES)]
        outcomes = [
            f"unit-{streams.number_of(one.stream)} "
            + ("was offered again" if isinstance(one.event, UnitReleased) else "is no longer offered")
            for one in together
            if isinstance(one.event, UnitReleased | UnitExpired)
        ]
        return "; ".join([text, *reasons, *outcomes])


def _is_about(event: Event, agent: AgentId, unit: UnitId) -> bool:
    match event:
        case WorkStarted() | WorkEnded() | AllWorkEnded():
            return event.agent == agent
        case CallbackAnswered():
            return event.unit == unit
        case _:
            return False


def _status_steps(entity: EntityRef, history: Sequence[RecordedEvent]) -> Iterator[ExplanationStep]:
    """Yield the events of an agent that changed its status."""
    status: agents.AgentStatus | None = None
    for recorded in history:
        after = agents.AGENT.after(status, recorded.envelope.event)
        if after is not status:
            yield _step(entity, recorded)
        status = after


def _step(
    entity: EntityRef | str, recorded: RecordedEvent, text: str | None = None, rules: tuple[RuleResult, ...] = ()
) -> ExplanationStep:
    envelope = recorded.envelope
    return ExplanationStep(
        seq=recorded.seq,
        at=date_of(envelope.at),
        entity=str(entity),
        kind=kind_of(type(envelope.event)),
        text=text or describe(envelope.event),
        actor=envelope.actor,
        rules=rules,
    )


def _result(check: Check) -> RuleResult:
    return RuleResult(check.rule, check.inputs, check.holds)


def _before(history: Sequence[RecordedEvent], seq: int) -> list[RecordedEvent]:
    return [recorded for recorded in history if recorded.seq < seq]


def _fold(evolve: Callable[[S | None, E], S], history: Sequence[RecordedEvent]) -> S | None:
    state: S | None = None
    for recorded in history:
        state = evolve(state, recorded.envelope.event)  # type: ignore[arg-type]  # a stream holds its lifecycle's events
    return state
