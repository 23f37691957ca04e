"""Builds a lifecycle from its table of legal steps: a `transitions.Machine`, and the lookup derived from it.

The machine is the definition. A trigger costs it some 13 us, so append and replay use the lookup, which is read off
the machine once and costs a fraction of a microsecond.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Generic, NamedTuple, TypeVar

from transitions import Machine

from ...events.base import Event, kind_of
from ..errors import IllegalStepError

S = TypeVar("S", bound="Status")
T = TypeVar("T")


class Status(Enum):
    """A status of a lifecycle.

    Members are hashed by identity: the hash of `Enum` is a Python function, and each step of each replay looks one up.
    """

    __hash__ = object.__hash__


#: Name of the state of an entity that does not exist yet.
ABSENT = "(absent)"


class Step(NamedTuple, Generic[S]):
    """One legal step: an event that leads from any of the sources to the target."""

    event: type[Event]
    #: Statuses it may start from; None if the entity does not exist yet.
    sources: tuple[S | None, ...]
    target: S


def step(event: type[Event], source: S | Sequence[S] | None, target: S) -> Step[S]:
    """Return a row of a lifecycle's table; several sources may share a row."""
    if source is None or isinstance(source, Enum):
        return Step(event, (source,), target)
    return Step(event, tuple(source), target)


def stays(event: type[Event], *statuses: S) -> tuple[Step[S], ...]:
    """Return the rows of a fact that is legal in the given statuses and changes none of them."""
    return tuple(Step(event, (status,), status) for status in statuses)


def existing(state: T | None) -> T:
    """Return the state of an entity that exists, because its table allows nothing but a creation before.

    Raises:
        LookupError: it does not exist.
    """
    if state is None:
        raise LookupError("only a creation can happen to what does not exist: a table has a wrong row")
    return state


class Lifecycle(Generic[S]):
    """The legal steps of one kind of entity.

    Attributes:
        name: name of the entity in errors and diagrams.
        steps: the table.
        machine: the definition built from the table; one for all entities of the kind.
        events: the event types that belong to this lifecycle.
        targets: the lookup: for each event type, the status it leads to by the status before.
    """

    def __init__(self, name: str, statuses: type[S], steps: Iterable[Step[S]]) -> None:
        self.name = name
        self.statuses = statuses
        self.steps = tuple(steps)
        self.events = frozenset(row.event for row in self.steps)
        self.machine = Machine(
            model=None,
            states=[ABSENT, *(status.value for status in statuses)],
            transitions=[
                {"trigger": kind_of(row.event), "source": _name(source), "dest": row.target.value}
                for row in self.steps
                for source in row.sources
            ],
            initial=ABSENT,
            # The default lets any status jump to any other.
            auto_transitions=False,
            model_attribute="status",
        )
        self.targets = self._lookup()

    def _lookup(self) -> dict[type[Event], dict[S | None, S]]:
        by_kind = {kind_of(event): event for event in self.events}
        lookup: dict[type[Event], dict[S | None, S]] = {event: {} for event in self.events}
        for kind, trigger in self.machine.events.items():
            for source, transitions in trigger.transitions.items():
                status = None if source == ABSENT else self.statuses(source)
                if len(transitions) != 1:
                    raise ValueError(f"{self.name}: {kind} from {source} leads to {len(transitions)} places")
                lookup[by_kind[kind]][status] = self.statuses(transitions[0].dest)
        return lookup

    def after(self, status: S | None, event: Event, entity: str | None = None) -> S:
        """Return the status that an event leads to.

        Args:
            status: the present status; None if the entity does not exist yet.
            event: the event.
            entity: name of the entity in an error.

        Raises:
            IllegalStepError: the table has no such step.
        """
        try:
            return self.targets[type(event)][status]
        except KeyError:
            raise IllegalStepError(entity or self.name, _name(status), kind_of(type(event))) from None

    def allows(self, status: S | None, event: type[Event]) -> bool:
        """Return whether the table has a step for an event from a status."""
        return event in self.targets and status in self.targets[event]

    def is_final(self, status: S) -> bool:
        """Return whether no step leads from a status to another one."""
        return all(targets.get(status, status) is status for targets in self.targets.values())

    def diagram(self) -> str:
        """Return the lifecycle as a Mermaid state diagram."""
        edges: dict[tuple[str, str], list[str]] = {}
        for row in self.steps:
            for source in row.sources:
                if source is not row.target:
                    edges.setdefault((_state(source), _state(row.target)), []).append(kind_of(row.event))
        lines = [f"    {source} --> {target}: {', '.join(kinds)}" for (source, target), kinds in edges.items()]
        return "\n".join(["stateDiagram-v2", *lines])


def _name(status: Enum | None) -> str:
    return ABSENT if status is None else str(status.value)


def _state(status: Enum | None) -> str:
    return "[*]" if status is None else str(status.value).replace(" ", "_")
