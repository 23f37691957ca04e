"""Removes from the rows of an export what tells who somebody is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from ...projections.mephisto_db.queries import JsonValue
from ...projections.queries.unit_records import UnitRecord

#: Details of uploaded files that come from the worker's own computer.
_OWN = "originalname"


def anonymized(records: Iterable[UnitRecord]) -> Iterator[UnitRecord]:
    """Yield rows without names, notes, authors of verdicts, ids of agents, positions in the log, and times of day.

    Workers are numbered 1, 2, 3 ... in the order in which they first appear in the table. What workers wrote stays as
    it is: whether it identifies anybody, only a person can tell.
    """
    numbers: dict[int, int] = {}
    for record in records:
        worker = record.worker_id
        number = None if worker is None else numbers.setdefault(worker, len(numbers) + 1)
        times = {name: _day(getattr(record, name)) for name in _TIMES}
        yield msgspec.structs.replace(
            record,
            worker_id=number,
            worker_name=None,
            agent_id=None,
            review_note=None,
            verdict_by=None,
            seqs=(),
            outputs=without_file_names(record.outputs),
            **times,
        )


_TIMES = ("created_at", "launched_at", "taken_at", "started_at", "submitted_at", "reviewed_at")


def _day(time: datetime | None) -> datetime | None:
    return None if time is None else time.replace(hour=0, minute=0, second=0, microsecond=0)


def without_file_names(value: JsonValue) -> JsonValue:
    """Return outputs without the names that files had on workers' computers."""
    match value:
        case dict():
            return {key: without_file_names(part) for key, part in value.items() if key != _OWN}
        case list():
            return [without_file_names(part) for part in value]
        case _:
            return value
