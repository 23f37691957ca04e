"""Table, machine, lookup and evolve are four views of one lifecycle; here they are held against each other."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import cache
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from transitions import MachineError

from mephisto_es.core.errors import IllegalStepError
from mephisto_es.core.lifecycles import (
    agent,
    assignment,
    engagement,
    onboarding,
    records,
    resource,
    task,
    task_run,
    unit,
    worker,
)
from mephisto_es.core.lifecycles import payment as pay
from mephisto_es.core.lifecycles.table import ABSENT, Lifecycle, existing, step
from mephisto_es.events.base import Event, kind_of
from mephisto_es.events.ids import AssignmentId, UnitId


class Kind(NamedTuple):
    lifecycle: Lifecycle[Any]
    evolve: Callable[[Any, Any], Any]

    @property
    def statuses(self) -> list[Enum]:
        return list(self.lifecycle.statuses.__members__.values())


KINDS = {
    "assignment": Kind(assignment.ASSIGNMENT, assignment.evolve),
    "unit": Kind(unit.UNIT, unit.evolve),
    "agent": Kind(agent.AGENT, agent.evolve),
    "onboarding": Kind(onboarding.ONBOARDING, onboarding.evolve),
    "worker": Kind(worker.WORKER, worker.evolve),
    "engagement": Kind(engagement.ENGAGEMENT, engagement.evolve),
    "task_run": Kind(task_run.TASK_RUN, task_run.evolve),
    "resource": Kind(resource.RESOURCE, resource.evolve),
    "payment": Kind(pay.PAYMENT, pay.evolve),
    "records": Kind(records.RECORD, records.evolve),
    "task": Kind(task.TASK, task.evolve),
}

every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


@cache
def example_of(event: type[Event]) -> Event:
    """One event of a type, filled with values that mean nothing."""
    by_type: dict[type, object] = {
        msgspec.inspect.IntType: 1,
        msgspec.inspect.FloatType: 0.5,
        msgspec.inspect.BoolType: True,
        msgspec.inspect.StrType: "x",
        msgspec.inspect.DictType: {},
        msgspec.inspect.UnionType: None,
        msgspec.inspect.VarTupleType: [],
    }

    def value_of(shape: msgspec.inspect.Type) -> object:
        match shape:
            case msgspec.inspect.EnumType(cls=cls):
                return next(iter(cls)).value
            case msgspec.inspect.StructType(fields=fields):
                return {field.encode_name: value_of(field.type) for field in fields if field.required}
            case _:
                return by_type[type(shape)]

    values = value_of(msgspec.inspect.type_info(event))
    assert isinstance(values, dict)
    return msgspec.convert(values | {"kind": kind_of(event)}, event)


class Entity:
    """A model for a `transitions.Machine`: the human way through a lifecycle."""

    def __init__(self, status: str) -> None:
        self.status = status


@cache
def by_machine(lifecycle: Lifecycle[Any], status: Enum | None, event: type[Event]) -> str | None:
    entity = Entity(ABSENT if status is None else status.value)
    try:
        lifecycle.machine.events[kind_of(event)].trigger(entity)
    except MachineError:
        return None
    return entity.status


@every_kind
def test_machine_and_lookup_agree_for_every_status_and_step(kind: Kind) -> None:
    lifecycle = kind.lifecycle
    for status in (None, *kind.statuses):
        for event in lifecycle.events:
            wanted = by_machine(lifecycle, status, event)
            assert lifecycle.allows(status, event) == (wanted is not None)
            if wanted is None:
                with pytest.raises(IllegalStepError) as refused:
                    lifecycle.after(status, example_of(event), "it/1")
                assert refused.value.entity == "it/1"
                assert refused.value.event_kind == kind_of(event)
            else:
                assert lifecycle.after(status, example_of(event)).value == wanted


@every_kind
def test_the_table_allows_nothing_that_it_does_not_say(kind: Kind) -> None:
    said = {(source, row.event) for row in kind.lifecycle.steps for source in row.sources}
    possible = {(s, e) for s in (None, *kind.statuses) for e in kind.lifecycle.events}
    assert {(s, e) for s, e in possible if kind.lifecycle.allows(s, e)} == said


@every_kind
def test_every_status_can_be_reached_from_nothing(kind: Kind) -> None:
    reached: set[Enum | None] = {None}
    for _ in kind.statuses:
        reached |= {row.target for row in kind.lifecycle.steps if reached & set(row.sources)}
    assert reached == {None, *kind.statuses}


@every_kind
def test_nothing_can_happen_to_what_does_not_exist_but_its_birth(kind: Kind) -> None:
    for event in kind.lifecycle.events:
        if kind.lifecycle.allows(None, event):
            assert kind.evolve(None, example_of(event)).status in kind.statuses
        else:
            with pytest.raises(IllegalStepError):
                kind.evolve(None, example_of(event))


@every_kind
def test_the_diagram_draws_exactly_the_steps_that_change_a_status(kind: Kind) -> None:
    def name(status: Enum | None) -> str:
        return "[*]" if status is None else str(status.value).replace(" ", "_")

    drawn = set()
    for line in kind.lifecycle.diagram().splitlines()[1:]:
        edge, _, kinds = line.strip().partition(": ")
        source, _, target = edge.partition(" --> ")
        drawn |= {(source, event, target) for event in kinds.split(", ")}
    assert drawn == {
        (name(source), kind_of(row.event), name(row.target))
        for row in kind.lifecycle.steps
        for source in row.sources
        if source is not row.target
    }


def test_nothing_but_a_creation_makes_a_state_from_nothing() -> None:
    state = unit.UnitState(unit.UnitStatus.CREATED, UnitId(1), AssignmentId(1), 0, 5)
    assert existing(state) is state
    with pytest.raises(LookupError, match="a table has a wrong row"):
        existing(None)


def test_a_table_with_two_targets_for_one_step_is_refused() -> None:
    rows = (*unit.UNIT.steps, step(next(iter(unit.UNIT.steps)).event, None, unit.UnitStatus.EXPIRED))
    with pytest.raises(ValueError, match="2 places"):
        Lifecycle("unit", unit.UnitStatus, rows)


def walk_of(kind: Kind) -> type[RuleBasedStateMachine]:
    """A rule machine that throws any event of a lifecycle at an entity, at any time."""
    events = sorted(kind.lifecycle.events, key=kind_of)

    class Walk(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.state: Any = None
            self.entity = Entity(ABSENT)

        @rule(event=st.sampled_from(events))
        def happens(self, event: type[Event]) -> None:
            before = self.state
            status = before.status if before is not None else None
            legal = by_machine(kind.lifecycle, status, event)
            if legal is None:
                with pytest.raises(IllegalStepError):
                    kind.evolve(before, example_of(event))
                return
            kind.lifecycle.machine.events[kind_of(event)].trigger(self.entity)
            self.state = kind.evolve(before, example_of(event))

        @precondition(lambda self: self.state is not None)
        @invariant()
        def evolve_and_machine_stand_at_the_same_status(self) -> None:
            assert self.state.status.value == self.entity.status

        @precondition(lambda self: self.state is not None and kind.lifecycle.is_final(self.state.status))
        @rule(event=st.sampled_from(events))
        def final_stays_final(self, event: type[Event]) -> None:
            if kind.lifecycle.allows(self.state.status, event):
                assert kind.evolve(self.state, example_of(event)).status is self.state.status

    return Walk


@pytest.mark.no_cover
@every_kind
def test_any_walk_keeps_machine_and_evolve_together(kind: Kind) -> None:
    run_state_machine_as_test(walk_of(kind))


@every_kind
def test_evolve_leaves_the_state_it_was_given_as_it_was(kind: Kind) -> None:
    birth = next(row.event for row in kind.lifecycle.steps if None in row.sources)
    for status in kind.statuses:
        state = msgspec.structs.replace(kind.evolve(None, example_of(birth)), status=status)
        before = repr(state)
        for event in kind.lifecycle.events:
            if kind.lifecycle.allows(status, event):
                kind.evolve(state, example_of(event))
        assert repr(state) == before
