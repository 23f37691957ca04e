"""Several operators on one log, on a clock that jumps, with faults: what must hold holds for every seed.

A seed that fails is printed; `python -m tests.simulation 1 SEED --several` shows it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from random import SystemRandom

import pytest

from mephisto_es.core.operations.logger_core import set_mephisto_log_level

from .simulation.several import simulate_several

FRESH_SEEDS = 3
SEEDS = 2**48
#: What happens in few simulations, and has to happen in some; seeds that reach all of it today.
RARE = ("run taken over", "machine stopped", "connection lost after COMMIT", "PauseRequest from another machine")
REACHING_SEEDS = (12, 11)
SEEDS_UNTIL_SEEN = 1000


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Operators that meet faults say so."""
    set_mephisto_log_level(level="critical")
    yield
    set_mephisto_log_level(level="info")


def test_fresh_seeds(tmp_path: Path) -> None:
    first = SystemRandom().randrange(SEEDS)
    for seed in range(first, first + FRESH_SEEDS):
        simulate_several(seed, tmp_path)


def test_rare_branches_are_reached(tmp_path: Path) -> None:
    """Seeds that reach all of them today come first; others follow if a change elsewhere has moved something."""
    left = set(RARE)
    for seed in chain(REACHING_SEEDS, range(SEEDS_UNTIL_SEEN)):
        if not left:
            break
        left -= simulate_several(seed, tmp_path).faults.keys()
    assert not left


def test_the_same_seed_gives_the_same_log(tmp_path: Path) -> None:
    once, again = simulate_several(9, tmp_path), simulate_several(9, tmp_path)
    assert once == again
    assert simulate_several(2, tmp_path).head != once.head
