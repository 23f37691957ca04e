"""Copies the decision state into bytes and back, so that a restart need not fold the whole log.

The bytes are MessagePack in parts, each of which takes a moment to encode. They hold what events said and nothing else:
they are safe to decode, and contain no personal values. They fit only the code that wrote them, so whoever keeps them
keeps its fingerprint with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import msgspec

from ...events.ids import ProjectId, QualificationId, RequesterId, TaskId, TaskRunId, WorkerId
from ..lifecycles.agent import AgentRecord
from ..lifecycles.assignment import AssignmentState
from ..lifecycles.engagement import EngagementState
from ..lifecycles.onboarding import OnboardingRecord
from ..lifecycles.payment import PaymentState
from ..lifecycles.records import RecordState
from ..lifecycles.resource import ResourceState
from ..lifecycles.task import TaskState
from ..lifecycles.task_run import TaskRunState
from ..lifecycles.unit import UnitState
from ..lifecycles.worker import WorkerState
from .decision_state import DecisionState
from .run_index import RunIndex

#: Entities in one part. Encoding it must not keep other threads waiting for long.
PART_ENTITIES = 4096

#: The kinds of entities: attributes of `EntityStates`.
_FAMILIES: dict[str, msgspec.msgpack.Decoder[dict[str, tuple[int, object]]]] = {
    name: msgspec.msgpack.Decoder(dict[str, tuple[int, state]])  # type: ignore[valid-type]  # a type to msgspec
    for name, state in (
        ("records", RecordState),
        ("tasks", TaskState),
        ("workers", WorkerState),
        ("task_runs", TaskRunState),
        ("resources", ResourceState),
        ("assignments", AssignmentState),
        ("units", UnitState),
        ("agents", AgentRecord),
        ("onboardings", OnboardingRecord),
        ("engagements", EngagementState),
        ("payments", PaymentState),
    )
}


class KeptState(NamedTuple):
    """The state of a log as of a position, from a snapshot."""

    seq: int
    state: DecisionState


class _Indexes(msgspec.Struct, array_like=True, gc=False):
    """The indexes, apart from those that are read off the entities."""

    runs: dict[TaskRunId, RunIndex]
    workers_by_identity: dict[str, WorkerId]
    projects_by_name: dict[str, ProjectId]
    tasks_by_name: dict[str, TaskId]
    runs_of_task: dict[TaskId, list[TaskRunId]]
    requesters_by_name: dict[tuple[str, str], RequesterId]
    qualifications_by_name: dict[str, QualificationId]
    update_ids: dict[str, set[str]]


class _StatePart(msgspec.Struct, array_like=True, gc=False):
    """One part of the bytes; the first has the indexes, the others some entities of a kind."""

    name: str
    body: msgspec.Raw


_INDEXES = "indexes"
_indexes_decoder = msgspec.msgpack.Decoder(_Indexes)
_part_decoder = msgspec.msgpack.Decoder(_StatePart)
_encode = msgspec.msgpack.Encoder().encode


class StateSnapshot:
    """A state that stays as it is while the one it was made of changes."""

    def __init__(self, state: DecisionState) -> None:
        """Copy a state. States of entities never change, so this copies what refers to them."""
        self._indexes = _encode(
            _Indexes(
                dict(state.runs),
                state.workers_by_identity,
                state.projects_by_name,
                state.tasks_by_name,
                state.runs_of_task,
                state.requesters_by_name,
                state.qualifications_by_name,
                state.update_ids,
            )
        )
        self._versions = state.versions.copy()
        self._families: dict[str, dict[str, object]] = {name: dict(getattr(state, name)) for name in _FAMILIES}

    def parts(self) -> Iterator[bytes]:
        """Yield the copy as bytes, part by part."""
        yield _encode(_StatePart(_INDEXES, msgspec.Raw(self._indexes)))
        versions = self._versions
        for name, entities in self._families.items():
            rest = iter(entities.items())
            while some := {stream: (versions[stream], entity) for stream, entity in islice(rest, PART_ENTITIES)}:
                yield _encode(_StatePart(name, msgspec.Raw(_encode(some))))


def restored(parts: Iterable[bytes | memoryview]) -> DecisionState:
    """Return the state that a copy's parts were made of.

    Raises:
        msgspec.DecodeError: they are not the parts of a copy that this code made.
    """
    state = DecisionState()
    indexes: _Indexes | None = None
    for part in map(_part_decoder.decode, parts):
        if part.name == _INDEXES:
            indexes = _indexes_decoder.decode(part.body)
        elif part.name in _FAMILIES:
            entities: dict[str, object] = getattr(state, part.name)
            for stream, (version, entity) in _FAMILIES[part.name].decode(part.body).items():
                state.versions[stream] = version
                entities[stream] = entity
        else:
            raise msgspec.DecodeError(f"there is no part {part.name!r}")
    if indexes is None:
        raise msgspec.DecodeError("the indexes are missing")
    state.runs.update(indexes.runs)
    state.workers_by_identity = indexes.workers_by_identity
    state.projects_by_name = indexes.projects_by_name
    state.tasks_by_name = indexes.tasks_by_name
    state.runs_of_task = indexes.runs_of_task
    state.requesters_by_name = indexes.requesters_by_name
    state.qualifications_by_name = indexes.qualifications_by_name
    state.update_ids = indexes.update_ids
    for people in (state.agents, state.onboardings):
        for stream, one in people.items():
            state.note_token(stream, one.token)
    return state
