"""Python's cycle collector, kept from going through what has no cycles again and again."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

#: New objects after which the collector looks at them. A commit of some hundred commands keeps thousands alive until it
#: is durable; at Python's 700 they are all gone through several times a commit, a tenth of a busy ledger's time.
PATIENCE_OBJECTS = 10_000


@contextmanager
def gc_less_often() -> Iterator[None]:
    """Have the collector look at new objects less often, in the whole process."""
    usual = gc.get_threshold()
    gc.set_threshold(PATIENCE_OBJECTS, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


@contextmanager
def gc_paused() -> Iterator[None]:
    """Keep the collector away while pages of events come and go.

    There are no cycles in them, and so many objects that it would go through all of them again and again, which costs
    a sixth of the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
