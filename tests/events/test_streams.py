"""Names of streams: made, parsed, and assigned to partitions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mephisto_es.events import streams
from mephisto_es.events.catalogue import CATEGORY_OF
from mephisto_es.events.ids import TaskRunId, UnitId, WorkerId
from mephisto_es.events.streams import StreamName

ids = st.integers(1, 2**53)


@pytest.mark.parametrize("category", sorted({*CATEGORY_OF.values()}))
@given(run=ids, number=ids)
def test_every_name_comes_back_in_its_parts(category: str, run: int, number: int) -> None:
    made = getattr(streams, category)
    is_of_run = category in {"assignment", "unit", "agent", "onboarding_agent", "engagement", "resource", "payment"}
    stream: str = made(run, number) if is_of_run else made(number)
    name = streams.parse(stream)
    expected_run = number if category == "task_run" else run if is_of_run else None
    assert name == StreamName(category, None if expected_run is None else TaskRunId(expected_run), number)
    assert streams.category_of(stream) == category
    assert streams.number_of(stream) == number
    if name.run is None:
        assert streams.partition_of(stream) == streams.DIRECTORY
    else:
        assert streams.run_of(stream) == name.run
        assert streams.partition_of(stream) == streams.partition_of_run(name.run)
    assert streams.run_of_partition(streams.partition_of(stream)) == name.run


@pytest.mark.parametrize(
    "text", ["", "unit", "unit/1", "unit/1/2/3", "unit/1/x", "task_run/1/1", "worker/", "worker/1/1", "thing/1", "/1"]
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a stream"):
        streams.parse(text)


@pytest.mark.parametrize("text", ["", "unit", "worker/", "thing/1"])
def test_what_is_no_name_belongs_to_no_partition(text: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a stream"):
        streams.partition_of(text)


def test_runs_and_the_directory_are_partitions() -> None:
    assert streams.partition_of(streams.unit(TaskRunId(3), UnitId(8))) == "run/3"
    assert streams.partition_of(streams.worker(WorkerId(8))) == "directory"
