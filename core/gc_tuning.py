"""Tunes Python's garbage collector for many short-lived objects without cycles."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

#: Number of new objects after which a collection starts. A commit of some hundred commands keeps thousands of objects
#: alive until it is durable. At Python's 700, they are traversed several times a commit: a tenth of a busy ledger's
#: time.
GC_THRESHOLD_OBJECTS = 10_000


@contextmanager
def gc_less_often() -> Iterator[None]:
    """Collect new objects less often in the whole process while the block runs."""
    usual = gc.get_threshold()
    gc.set_threshold(GC_THRESHOLD_OBJECTS, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


@contextmanager
def gc_paused() -> Iterator[None]:
    """Collect nothing while the block runs.

    For reading pages of events: they have no cycles, and traversing them again and again costs a sixth of the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
