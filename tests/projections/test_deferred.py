"""Loading a library when it is first used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mephisto_es.projections.deferred import deferred


def test_it_runs_when_a_name_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_library.py").write_text("import marker_of_a_slow_library\nANSWER = 42\n")
    (tmp_path / "marker_of_a_slow_library.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    library = deferred("slow_library")
    assert "marker_of_a_slow_library" not in sys.modules
    assert deferred("slow_library") is library
    assert library.ANSWER == 42
    assert "marker_of_a_slow_library" in sys.modules
    for name in ("slow_library", "marker_of_a_slow_library"):
        monkeypatch.delitem(sys.modules, name)


def test_one_that_is_there_already_is_that_one() -> None:
    assert deferred("subprocess") is subprocess


def test_one_that_is_not_installed() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        deferred("no_such_library")
