"""Loading a library when it is first used."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from mephisto_es.projections.engine.lazy_import import lazy_import


def test_it_runs_when_a_name_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_library.py").write_text("import marker_of_a_slow_library\nANSWER = 42\n")
    (tmp_path / "marker_of_a_slow_library.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    library = lazy_import("slow_library")
    assert "marker_of_a_slow_library" not in sys.modules
    assert lazy_import("slow_library") is library
    assert library.ANSWER == 42
    assert "marker_of_a_slow_library" in sys.modules
    for name in ("slow_library", "marker_of_a_slow_library"):
        monkeypatch.delitem(sys.modules, name)


def test_what_it_does_without_is_not_loaded_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "greedy_library.py").write_text(
        "try:\n    import heavy_library\nexcept ImportError:\n    heavy_library = None\n"
    )
    (tmp_path / "heavy_library.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert lazy_import("greedy_library", without=["heavy_library"]).heavy_library is None
    assert "heavy_library" not in sys.modules
    monkeypatch.delitem(sys.modules, "greedy_library")
    heavy = importlib.import_module("heavy_library")
    assert lazy_import("greedy_library", without=["heavy_library"]).heavy_library is heavy
    assert sys.modules["heavy_library"] is heavy
    for name in ("greedy_library", "heavy_library"):
        monkeypatch.delitem(sys.modules, name)


def test_one_that_is_there_already_is_that_one() -> None:
    assert lazy_import("subprocess") is subprocess


def test_one_that_is_not_installed() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        lazy_import("no_such_library")
