"""Reads the names that workers have at their providers, to show them next to ids."""

from __future__ import annotations

from collections.abc import Iterable

from ...core.printable import printable
from ...events.ids import WorkerId
from ..mephisto_db.reader import MephistoDB

#: Workers that are looked up in one query.
_CHUNK = 500
#: Characters of a name that are shown.
SHOWN_CHARACTERS = 60


def worker_names(db: MephistoDB, workers: Iterable[int | None]) -> dict[WorkerId, str]:
    """Return the names of workers at their providers, ready to be shown: printable and of bounded length.

    Args:
        db: the view.
        workers: their ids; None is ignored. Erased workers have no name.
    """
    wanted = sorted({worker for worker in workers if worker is not None})
    names: dict[WorkerId, str] = {}
    for start in range(0, len(wanted), _CHUNK):
        chunk = wanted[start : start + _CHUNK]
        marks = ", ".join("?" * len(chunk))
        rows = db.execute(f"SELECT worker_id, worker_name FROM workers WHERE worker_id IN ({marks})", chunk)
        names |= {WorkerId(worker): shown_name(name) for worker, name in rows if name}
    return names


def shown_name(name: str) -> str:
    """Return a stranger's name as it can be shown: without control characters, and cut if it is long."""
    text = printable(name)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."
