"""A few passes of the matrix of pauses; `make pauses` runs all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from .matrix import MOMENTS, ROUTERS, STOPS, Cell, every_cell, pairwise_cells, run_cell


@pytest.mark.parametrize("cell", list(pairwise_cells()), ids=str)
async def test_a_stopped_run_is_finished_by_whoever_resumes_it(cell: Cell, tmp_path: Path) -> None:
    await run_cell(cell, tmp_path / "data")


def test_the_matrix_is_whole() -> None:
    cells = every_cell()
    assert len(set(cells)) == len(STOPS) * len(MOMENTS) * len(ROUTERS) * 2 == 112
    few = list(pairwise_cells())
    assert {cell.stop for cell in few} == set(STOPS)
    assert {(cell.router, cell.router_dies) for cell in few} == {(a, b) for a in ROUTERS for b in (False, True)}
    assert {cell.scene for cell in few} == set(MOMENTS)
