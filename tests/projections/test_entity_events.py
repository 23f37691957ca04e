"""The events that may concern an entity, found by index."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings

from mephisto_es.core.entity_ref import KINDS, EntityRef
from mephisto_es.core.ports import AppendRequest
from mephisto_es.projections.mephisto_db.tables import TABLES
from mephisto_es.projections.queries.history.entity_events import events_about
from mephisto_es.projections.queries.history.timeline import timeline

from ..histories import histories
from .memory_as_of import MemoryAsOf


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
