"""Notices of an operator that is killed; `make notices` kills twenty."""

from __future__ import annotations

from pathlib import Path

from .kills import kill_again_and_again


async def test_each_notice_arrives_although_operators_are_killed(tmp_path: Path) -> None:
    verdict = await kill_again_and_again(tmp_path / "data", kills=2, seed=1)
    assert verdict.problems == ()
    assert {"unit_completed", "completed"} <= set(verdict.kinds)
