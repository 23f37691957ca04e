"""Flattens what workers were given and what they submitted: one value for each path of keys."""

from __future__ import annotations

from collections.abc import Iterator

from ..mephisto_db.queries import JsonValue

#: Objects within objects that are flattened.
MAX_DEPTH = 4
#: Keys of outputs that are lists of their own.
LISTS = frozenset({"files", "filesByFields", "messages", "requests"})


def leaves(value: JsonValue, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], JsonValue]]:
    """Yield each value in nested objects with the keys that lead to it.

    Args:
        value: the outermost value; if it is no object, and no keys lead to it, nothing is yielded.
        path: the keys that lead to it.
    """
    if isinstance(value, dict) and value and len(path) < MAX_DEPTH:
        for key, part in value.items():
            if key not in LISTS:
                yield from leaves(part, (*path, key))
    elif path:
        yield path, value
