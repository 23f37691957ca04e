"""Fixtures of tests of adapters."""

from __future__ import annotations

from pathlib import Path

import pytest

from .launch_harness import LaunchHarness


@pytest.fixture
def launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> LaunchHarness:
    """Starts launch scripts in a folder of the test's own."""
    return LaunchHarness(tmp_path, monkeypatch, capsys)
