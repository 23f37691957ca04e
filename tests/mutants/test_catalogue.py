"""The catalogue of mutants fits the code: every one can be applied, and its tests exist."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from .__main__ import verdict
from .catalogue import ROOT, Mutant, all_mutants

MUTANTS = all_mutants()
SAMPLE = Mutant(name="a", promise="b", file="c", before="d", after="e", tests=("t.py::one", "t.py::two"))


@cache
def names_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    )


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_can_be_applied_and_its_tests_exist(mutant: Mutant) -> None:
    assert (ROOT / mutant.file).read_text(encoding="utf-8").count(mutant.before) == 1
    assert mutant.before != mutant.after
    assert mutant.promise.endswith(".")
    assert mutant.tests
    assert not mutant.unsimulated or mutant.unsimulated.endswith(".")
    for test in mutant.tests:
        path, _, name = test.partition("::")
        assert name.rpartition("::")[2] in names_in(ROOT / path), test


def test_names_are_unique() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_every_named_test_must_fail() -> None:
    one, both = "FAILED t.py::one[node] - AssertionError", "FAILED t.py::one\nERROR t.py::two - Error: [x]"
    assert verdict(SAMPLE, 0, "") == "SURVIVED: no test noticed"
    assert verdict(SAMPLE, 1, one) == "SURVIVED t.py::two"
    assert verdict(SAMPLE, 1, both) is None
    assert verdict(SAMPLE, None, "") is None
    assert verdict(SAMPLE, 2, "ImportError") == "its tests cannot be run:\nImportError"
