"""What a power cut leaves can be used, and has everything that anybody was told.

`make powercut` is the long form: thousands of states, and a whole run with its operator.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from ..adapters.architects.router.conftest import cannot_run, kind
from ..adapters.architects.router.harness import RouterKind
from .disk import Survival
from .record_log import LOG
from .states import check_belief, check_kept_state, check_log, check_router, check_run, faults_of, record
from .trace import Call

__all__ = ["kind"]

STATES = int(os.environ.get("POWERCUT_STATES", "40"))
SEED = int(os.environ.get("POWERCUT_SEED", "1"))


@pytest.fixture(scope="module", autouse=True)
def strace() -> None:
    if shutil.which("strace") is None:
        cannot_run("strace is not installed: no disk is recorded")


def test_a_log_after_a_power_cut(tmp_path: Path) -> None:
    calls = record("record_log", tmp_path, ["24"])
    assert faults_of(calls, tmp_path, check_log, Random(SEED), STATES) == []


class Recorded(NamedTuple):
    """The record of a program, and the folder that it is in."""

    calls: Sequence[Call]
    folder: Path


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("operator")
    return Recorded(record("record_operator", folder, ["6"]), folder)


#: How the names of the file with the state, and of its draft, begin.
KEPT_STATE = f"{LOG}.state"


def is_kept_state(path: Path) -> bool:
    return path.name.startswith(KEPT_STATE)


def test_the_state_that_an_operator_keeps_after_a_power_cut(operator: Recorded) -> None:
    assert faults_of(*operator, check_kept_state, Random(SEED), STATES // 2, focus=KEPT_STATE) == []


def test_a_torn_state_is_not_believed(operator: Recorded) -> None:
    """A disk may claim to have synced what it has not."""
    survivals = (Survival.HOLES, Survival.SOME, Survival.BEGINNING)
    assert faults_of(*operator, check_belief, Random(SEED), STATES // 2, is_kept_state, survivals) == []


def test_the_state_of_a_log_that_has_lost_events_is_not_believed(operator: Recorded) -> None:
    def forgets(path: Path) -> bool:
        return path.name in (f"{LOG}-wal", f"{LOG}.anchor")

    assert faults_of(*operator, check_belief, Random(SEED), STATES // 2, forgets) == []


if "POWERCUT_STATES" in os.environ:

    @pytest.mark.parametrize("server_type", ["python", "node"])
    def test_a_run_after_a_power_cut(server_type: str, tmp_path: Path) -> None:
        calls = record("record_run", tmp_path, ["20", server_type])
        assert faults_of(calls, tmp_path, check_run, Random(SEED), STATES) == []


def test_a_router_after_a_power_cut(kind: RouterKind, tmp_path: Path) -> None:  # the fixture
    folder = str(kind.folder or Path.cwd())
    calls = record("record_router", tmp_path, ["16", folder, *kind.command])
    assert faults_of(calls, tmp_path, check_router, Random(SEED), 2 * STATES) == []
