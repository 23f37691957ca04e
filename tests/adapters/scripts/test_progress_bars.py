"""Bars of launches and of runs that are stopped, as a terminal shows them."""

from __future__ import annotations

import io
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio.testing
from rich.console import Console

from mephisto_es.adapters.scripts.progress_bars import UNITS_WORTH_A_BAR, progress_bars
from mephisto_es.core.abstractions.agent import InitializationData
from mephisto_es.core.abstractions.blueprint import AssignmentData
from mephisto_es.core.lifecycles.unit import UnitStatus

from ...core.operations.operator_harness import HarnessTaskState, items, open_harness, until

MANY = 3 * UNITS_WORTH_A_BAR


async def _generated(count: int) -> AsyncIterator[InitializationData]:
    for item in items(count):
        yield item


async def _shown(path: Path, data: AssignmentData, units: int, *, is_terminal: bool = True, **settings: object) -> str:
    """Return the terminal's output during a run that is launched and stopped."""
    screen = io.StringIO()
    async with open_harness(path) as harness:
        with progress_bars(harness.operator, Console(file=screen, force_terminal=is_terminal, width=80)):
            live_run = await harness.launch(HarnessTaskState(data=data), **settings)
            index = harness.operator.ledger.state.runs[live_run.task_run]
            await until(harness, lambda: index.units_by_status.get(UnitStatus.LAUNCHED, 0) == units)
            await harness.operator.shutdown()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())


async def test_launching_and_expiring_have_a_bar_each(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    shown = await _shown(tmp_path, items(MANY), MANY)
    assert re.search(rf"launching units of run 1 .* \d+/{MANY}", shown)
    assert re.search(rf"expiring units of run 1 .* \d+/{MANY}", shown)
    assert shown.index("launching") < shown.index("expiring")


async def test_a_generators_bar_has_no_end(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    shown = await _shown(tmp_path, _generated(MANY), MANY)
    assert re.search(r"launching units of run 1 .* \d+/\?", shown)


@pytest.mark.parametrize(
    ("count", "is_terminal"), [(UNITS_WORTH_A_BAR - 1, True), (MANY, False)], ids=["few units", "no terminal"]
)
async def test_nothing_is_shown(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, count: int, is_terminal: bool
) -> None:
    assert await _shown(tmp_path, items(count), count, is_terminal=is_terminal) == ""


async def test_units_that_follow_one_by_one_have_no_bar(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    shown = await _shown(tmp_path, items(MANY), 5, max_num_concurrent_units=5)
    assert "launching" not in shown
