"""What a power cut leaves can be used, and has everything that anybody was told.

`make powercut` is the long form: thousands of states, and a whole run with its operator.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from random import Random

import pytest

from ..adapters.architects.router.conftest import cannot_run, kind
from ..adapters.architects.router.harness import RouterKind
from .states import check_log, check_router, check_run, faults_of, record

__all__ = ["kind"]

STATES = int(os.environ.get("POWERCUT_STATES", "40"))
SEED = int(os.environ.get("POWERCUT_SEED", "1"))


@pytest.fixture(autouse=True)
def strace() -> None:
    if shutil.which("strace") is None:
        cannot_run("strace is not installed: no disk is recorded")


def test_a_log_after_a_power_cut(tmp_path: Path) -> None:
    calls = record("record_log", tmp_path, ["24"])
    assert faults_of(calls, tmp_path, check_log, Random(SEED), STATES) == []


if "POWERCUT_STATES" in os.environ:

    @pytest.mark.parametrize("server_type", ["python", "node"])
    def test_a_run_after_a_power_cut(server_type: str, tmp_path: Path) -> None:
        calls = record("record_run", tmp_path, ["20", server_type])
        assert faults_of(calls, tmp_path, check_run, Random(SEED), STATES) == []


def test_a_router_after_a_power_cut(kind: RouterKind, tmp_path: Path) -> None:  # the fixture
    folder = str(kind.folder or Path.cwd())
    calls = record("record_router", tmp_path, ["16", folder, *kind.command])
    assert faults_of(calls, tmp_path, check_router, Random(SEED), 2 * STATES) == []
