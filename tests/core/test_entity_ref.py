"""References to entities as people write them, and what is refused because it may mean several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from mephisto_es.core.entity_ref import KINDS, EntityRef, find_entity, parse_entity_ref
from mephisto_es.core.errors import AmbiguousReferenceError, UnknownEntityError, named
from mephisto_es.events.ids import WorkerId


class Roster:
    """Entities and names that are given."""

    def __init__(self, entities: Sequence[str], names: Mapping[int, str] | None = None) -> None:
        self._entities = {parse_entity_ref(one) for one in entities}
        self._names = names or {}

    def has(self, entity: EntityRef) -> bool:
        return entity in self._entities

    def workers_named(self, name: str) -> Sequence[WorkerId]:
        return [WorkerId(worker) for worker, known in self._names.items() if known == name]


ROSTER = Roster(
    ["run-1", "unit-12", "agent-7", "worker-3", "worker-8", "worker-12"], {3: "worker-08", 8: "R_x7", 12: "12"}
)


@pytest.mark.parametrize("text", ["unit-12", "unit12", "Unit 12", " UNIT-12 ", "12", "id=12", "id=unit-12"])
def test_an_id_is_written_in_many_ways(text: str) -> None:
    assert find_entity(ROSTER, text, ["unit"]) == EntityRef("unit", 12)


@pytest.mark.parametrize(
    ("text", "worker"),
    [("R_x7", 8), ("8", 8), ("worker-8", 8), ("worker-08", 3), ("name=worker-08", 3), ("12", 12), ("name=12", 12)],
)
def test_a_worker_is_found_by_name_or_id(text: str, worker: int) -> None:
    assert find_entity(ROSTER, text, ["worker"]) == EntityRef("worker", worker)
    if text != "12" and not text.isdecimal() and "=" not in text:
        assert find_entity(ROSTER, text, KINDS) == EntityRef("worker", worker)


def test_what_may_be_two_workers_is_refused_with_both() -> None:
    roster = Roster(["worker-8", "worker-3"], {3: "worker-8"})
    with pytest.raises(AmbiguousReferenceError) as refused:
        find_entity(roster, "worker-8", ["worker"])
    assert str(refused.value) == (
        "'worker-8' may be worker-8 by its id (write id=worker-8), "
        "or worker-3 by the name at its provider (write name=...)"
    )
    assert find_entity(roster, "id=worker-8", ["worker"]) == EntityRef("worker", 8)
    assert find_entity(roster, "name=worker-8", ["worker"]) == EntityRef("worker", 3)


def test_a_name_at_two_providers_is_told_apart_by_id() -> None:
    roster = Roster(["worker-1", "worker-2"], {1: "ann", 2: "ann"})
    with pytest.raises(AmbiguousReferenceError, match=r"worker-2 by the name at its provider \(write id=worker-2\)"):
        find_entity(roster, "ann", ["worker"])


def test_a_bare_number_of_several_kinds_is_refused() -> None:
    with pytest.raises(AmbiguousReferenceError, match=r"unit-12 by its id .*, or worker-12 by its id"):
        find_entity(ROSTER, "12", KINDS)
    assert find_entity(ROSTER, "7", KINDS) == EntityRef("agent", 7)


def test_an_id_that_nothing_has_is_left_to_whoever_looks_it_up() -> None:
    assert find_entity(ROSTER, "worker-99", ["worker"]) == EntityRef("worker", 99)


@pytest.mark.parametrize(
    ("text", "kinds", "said"),
    [
        ("worker-09", ["worker"], "there is no worker by the id 'worker-09'; the nearest is worker-9"),
        ("nobody", ["worker"], "there is no worker with the id or name 'nobody'"),
        ("name=", ["worker"], "there is no worker with the id or name ''"),
        ("x" * 600, ["worker"], "there is no worker with the id or name 'xxx"),
        ("99", ["unit", "agent"], "there is no unit or agent '99'"),
    ],
)
def test_what_is_not_there_is_said(text: str, kinds: list[str], said: str) -> None:
    with pytest.raises(UnknownEntityError) as refused:
        find_entity(ROSTER, text, kinds)
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize("text", ["", "unit", "unit-", "units-1", "unit-x", "unit-01", "12", f"unit-{10**18}"])
def test_what_is_no_reference(text: str) -> None:
    assert parse_entity_ref(text) is None


@pytest.mark.parametrize(
    ("stream", "name"),
    [
        ("unit/1/12", "unit-12"),
        ("task_run/7", "run-7"),
        ("onboarding_agent/1/2", "onboarding-2"),
        ("engagement/1/3", "worker-3 in run-1"),
        ("seq 12", "seq 12"),
        ("/no/file", "/no/file"),
    ],
)
def test_streams_have_names_for_people(stream: str, name: str) -> None:
    assert named(stream) == name
