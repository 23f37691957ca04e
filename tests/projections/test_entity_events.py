"""The events that may concern an entity, found by index."""

from __future__ import annotations

from random import Random

from hypothesis import HealthCheck, given, settings

from mephisto_es.core.entity_ref import KINDS, RECORD_KINDS, EntityRef
from mephisto_es.core.ports import AppendRequest
from mephisto_es.projections.mephisto_db.tables import TABLES
from mephisto_es.projections.queries.history.entity_events import events_about
from mephisto_es.projections.queries.history.timeline import timeline

from ..histories import histories, history
from .memory_as_of import MemoryAsOf

HISTORY = history(Random(10), 1500)


def test_the_events_of_each_payment_and_resource_are_its_own() -> None:
    as_of = MemoryAsOf(HISTORY)
    records = {one.envelope.stream for one in as_of.events if one.envelope.stream.split("/")[0] in RECORD_KINDS}
    assert {name.split("/")[0] for name in records} == set(RECORD_KINDS)
    for name in records:
        kind, _, number = name.split("/")
        entity = EntityRef(kind, int(number))
        found = events_about(as_of, entity)
        assert {one.envelope.stream for one in found} == {name}
        assert len(list(timeline(found, entity))) == len(found)


@given(histories())
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_timeline_of_them_is_a_timeline_of_the_whole_log(requests: tuple[AppendRequest, ...]) -> None:
    as_of = MemoryAsOf(requests)
    for table in TABLES:
        if table.entity in KINDS:
            for (number,) in as_of.db.execute(f"SELECT {table.key} FROM {table.name}"):
                subject = EntityRef(table.entity, number)
                about = events_about(as_of, subject)
                assert list(timeline(about, subject)) == list(timeline(as_of.events, subject))
                assert len(about) <= len(as_of.events)
