"""Why a worker was let in, refused, given a unit, or had it taken away: from the recorded decisions.

A refusal is an event that names its rule. An admission is not, as every rule held; so the rules are asked once more,
with what the log held at that position. They are the same rules, and they see nothing but recorded facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from ....core.decisions.admission_rules import Check, admission
from ....core.lifecycles import agent as agents
from ....core.lifecycles import engagement as engagements
from ....core.lifecycles import task_run as task_runs
from ....core.lifecycles import worker as workers
from ....events import streams
from ....events.agent import AgentDisconnected, AgentExpired, AgentReturned, AgentTimedOut
from ....events.base import Event
from ....events.engagement import (
    CallbackAnswered,
    EngagementBarred,
    LastWorkEnded,
    WorkEnded,
    WorkerJudged,
    WorkerRefused,
    WorkTaken,
)
from ....events.envelope import RecordedEvent
from ....events.ids import AgentId, TaskRunId, UnitId, WorkerId
from ....events.unit import UnitExpired, UnitLaunched, UnitReleased
from ...mephisto_db.rows import date_of
from ..as_of import AsOf
from ..entity_ref import EntityRef, stream_of
from .event_text import words

S = TypeVar("S")
E = TypeVar("E", bound=Event)

_LEAVING = (AgentDisconnected, AgentTimedOut, AgentReturned, AgentExpired)
_PICKED = "first_offered"


class RuleSaid(msgspec.Struct, frozen=True):
    """What one rule looked at, and whether it held."""

    rule: str
    inputs: Mapping[str, str | int | bool | None]
    holds: bool


class ExplanationStep(msgspec.Struct, frozen=True):
    """One thing that was decided or that happened, with the rules behind it."""

    seq: int
    #: UTC.
    at: str
    #: Whom it happened to.
    subject: str
    what: str
    #: Who asked for it.
    actor: str
    rules: tuple[RuleSaid, ...] = ()


class Explanation(msgspec.Struct, frozen=True):
    """How an agent or a worker came to be where it is."""

    subject: str
    #: What it comes to, in one sentence.
    summary: str
    #: In the order in which it happened.
    steps: tuple[ExplanationStep, ...]


def explain_worker(as_of: AsOf, worker: WorkerId) -> Explanation:
    """Everything that was decided about a worker, over all runs.

    Raises:
        UnknownEntityError: there is no such worker.
    """
    subject = EntityRef("worker", worker)
    history = as_of.stream(stream_of(as_of.db, subject))
    steps = [_step(subject, recorded) for recorded in history]
    for (run,) in as_of.db.execute("SELECT task_run_id FROM task_runs ORDER BY task_run_id").fetchall():
        steps += _Engagement(as_of, TaskRunId(run), worker, history).steps()
    steps.sort(key=lambda step: step.seq)
    state = _fold(workers.evolve, history)
    given = sum(step.what.startswith("was given") for step in steps)
    refused = sum(any(not said.holds for said in step.rules) for step in steps)
    summary = f"{state.status.value if state else 'unknown'}; was given {given} units and refused {refused} times"
    return Explanation(str(subject), summary, tuple(steps))


def explain_agent(as_of: AsOf, agent: AgentId) -> Explanation:
    """Why an agent got its unit, and what became of it.

    Raises:
        UnknownEntityError: there is no such agent.
    """
    subject = EntityRef("agent", agent)
    row = as_of.db.get_agent(agent)
    run, worker, unit = row.task_run_id, row.worker_id, row.unit_id
    history = as_of.stream(streams.agent(run, agent))
    engagement = _Engagement(as_of, run, worker, as_of.stream(streams.worker(worker)))
    steps = [*engagement.steps_of(agent, unit), *_status_steps(subject, history)]
    steps.sort(key=lambda step: step.seq)
    state = _fold(agents.evolve, history)
    summary = f"{state.status.value if state else 'unknown'}; worker-{worker} on unit-{unit} of run-{run}"
    return Explanation(str(subject), summary, tuple(steps))


class _Engagement:
    """The decisions about a worker in one run."""

    def __init__(self, as_of: AsOf, run: TaskRunId, worker: WorkerId, person: Sequence[RecordedEvent]) -> None:
        self._as_of = as_of
        self._run = run
        self._who = f"{EntityRef('worker', worker)} in {EntityRef('run', run)}"
        self._person = person
        self._history = as_of.stream(streams.engagement(run, worker))
        # Read only if there is something to explain.
        self._run_history = as_of.stream(streams.task_run(run)) if self._history else []

    def steps(self) -> Iterator[ExplanationStep]:
        """All of them."""
        state: engagements.EngagementState | None = None
        for recorded in self._history:
            event = recorded.envelope.event
            yield _step(self._who, recorded, self._told(recorded), tuple(self._rules(recorded, state)))
            state = engagements.evolve(state, event)  # type: ignore[arg-type]  # the stream holds no other events

    def steps_of(self, agent: AgentId, unit: UnitId) -> list[ExplanationStep]:
        """Those that led to an agent and to its end."""
        return [
            step
            for recorded, step in zip(self._history, self.steps(), strict=True)
            if _is_about(recorded.envelope.event, agent, unit)
        ]

    def _rules(self, recorded: RecordedEvent, before: engagements.EngagementState | None) -> Iterator[RuleSaid]:
        match recorded.envelope.event:
            case WorkTaken(unit=unit, evaluation=evaluation, counts=is_ordinary):
                yield from map(_said, self._admission(recorded.seq, before))
                if evaluation is not None:
                    yield RuleSaid(evaluation, {"unit": unit}, True)
                if is_ordinary:
                    yield RuleSaid(_PICKED, self._offer(unit, recorded.seq), True)
            case WorkerJudged(callback=callback, facts=facts, answer=answer):
                yield RuleSaid(callback, facts, answer)
            case WorkerRefused(rule=rule, inputs=inputs):
                yield RuleSaid(rule, inputs, False)
            case CallbackAnswered(callback=callback, unit=unit, answer=bool() as answer):
                yield RuleSaid(callback, {"unit": unit}, answer)
            case EngagementBarred(reason=reason):
                yield RuleSaid("not_barred", {"because": reason}, False)
            case _:
                return

    def _admission(self, seq: int, before: engagements.EngagementState | None) -> Iterator[Check]:
        run = _fold(task_runs.evolve, _before(self._run_history, seq))
        worker = _fold(workers.evolve, _before(self._person, seq))
        return iter(()) if run is None or worker is None else admission(run, worker, before)

    def _offer(self, unit: UnitId, seq: int) -> dict[str, str | int | bool | None]:
        """What made the unit the one to be given: it was on offer for longer than any other new to the worker."""
        history = _before(self._as_of.stream(streams.unit(self._run, unit)), seq)
        launched = [
            recorded for recorded in history if isinstance(recorded.envelope.event, UnitLaunched | UnitReleased)
        ]
        return {"unit": unit, "on offer since": date_of(launched[-1].envelope.at) if launched else None}

    def _told(self, recorded: RecordedEvent) -> str:
        """The words; the rules stand beside them. Of work that was not handed in, also what became of the unit."""
        told = words(recorded.envelope.event)
        if isinstance(recorded.envelope.event, WorkerRefused):
            return f"was refused, and shown {recorded.envelope.event.shown}"
        if not isinstance(recorded.envelope.event, WorkEnded | LastWorkEnded):
            return told
        together = [other.envelope for other in self._as_of.command(recorded.envelope.command)]
        reasons = [one.event.reason for one in together if isinstance(one.event, _LEAVING)]
        fates = [
            f"unit-{one.stream.rpartition('/')[2]} "
            + ("was offered again" if isinstance(one.event, UnitReleased) else "was taken off offer")
            for one in together
            if isinstance(one.event, UnitReleased | UnitExpired)
        ]
        return "; ".join([told, *reasons, *fates])


def _is_about(event: Event, agent: AgentId, unit: UnitId) -> bool:
    match event:
        case WorkTaken() | WorkEnded() | LastWorkEnded():
            return event.agent == agent
        case CallbackAnswered():
            return event.unit == unit
        case _:
            return False


def _status_steps(subject: EntityRef, history: Sequence[RecordedEvent]) -> Iterator[ExplanationStep]:
    """The events of an agent that changed its status."""
    status: agents.AgentStatus | None = None
    for recorded in history:
        after = agents.AGENT.after(status, recorded.envelope.event)
        if after is not status:
            yield _step(subject, recorded)
        status = after


def _step(
    subject: EntityRef | str, recorded: RecordedEvent, told: str | None = None, rules: tuple[RuleSaid, ...] = ()
) -> ExplanationStep:
    envelope = recorded.envelope
    return ExplanationStep(
        recorded.seq, date_of(envelope.at), str(subject), told or words(envelope.event), envelope.actor, rules
    )


def _said(check: Check) -> RuleSaid:
    return RuleSaid(check.rule, check.inputs, check.holds)


def _before(history: Sequence[RecordedEvent], seq: int) -> list[RecordedEvent]:
    return [recorded for recorded in history if recorded.seq < seq]


def _fold(evolve: Callable[[S | None, E], S], history: Sequence[RecordedEvent]) -> S | None:
    state: S | None = None
    for recorded in history:
        state = evolve(state, recorded.envelope.event)  # type: ignore[arg-type]  # a stream holds its lifecycle's events
    return state
