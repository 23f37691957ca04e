"""How forms were filled in: bounded numbers, shown as evidence, and no answers to anything."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mephisto_es.adapters.blueprints.form_spec import read_form
from mephisto_es.adapters.blueprints.form_validation import problems_of
from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.web.access import Access
from mephisto_es.projections.queries.quality.process_signals import PROCESS_SIGNALS, read_signals
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import judged_history
from ..web.visitor import Visitor

SIGNALS: dict[str, object] = {"pasted_share": 0.5, "keys": 12, "tab_switches": 1, "seconds_to_first_key": 2.5}


def answers_of(worker: int, item: int) -> dict[str, object]:
    answers: dict[str, object] = {"label": "ab"[item % 2]}
    if worker == 1:
        return {**answers, PROCESS_SIGNALS: {**SIGNALS, "keys": 10 * item}}
    return {**answers, PROCESS_SIGNALS: {**SIGNALS, "pasted_share": None, "seconds_to_first_key": None}}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(judged_history(5, 2, 2, answers_of))
    return path


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(command.main, [*map(str, words)])


def test_figures_of_workers_and_no_question(database: Path) -> None:
    found = json.loads(run("quality", database, "--json", "--no-labels").stdout)
    assert [one["question"] for one in found["questions"]] == ["label"]
    signals = {one["worker"]: one["signals"] for one in found["workers"]}
    assert signals == {
        1: {"pieces": 5, "pasted_share": 0.5, "keys": 30.0, "tab_switches": 1.0, "seconds_to_first_key": 2.5},
        2: {"pieces": 5, "pasted_share": None, "keys": 12.0, "tab_switches": 1.0, "seconds_to_first_key": None},
    }
    assert all(one["suggestions"] == [] for one in found["workers"]), "never a reason, and no suggestion either"
    text = run("quality", database, "--no-labels").stdout
    assert "first key" in text
    assert "never a reason by themselves" in text


def test_they_are_columns_of_the_export(database: Path) -> None:
    (row, *_) = csv.DictReader(io.StringIO(run("export", database, "1", "--format", "csv").stdout))
    assert (row["output.process_signals.keys"], row["output.process_signals.pasted_share"]) == ("10", "0.5")


def test_runs_that_count_nothing_have_no_columns_for_it(tmp_path: Path) -> None:
    path = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(judged_history(5, 2, 2, lambda worker, item: {"label": "ab"[item % 2]}))
    assert "first key" not in run("quality", path, "--no-labels").stdout


@pytest.mark.parametrize(
    "change",
    [
        {"keys": -1},
        {"keys": 10**9},
        {"keys": "12"},
        {"pasted_share": 1.5},
        {"tab_switches": 0.5},
        {"seconds_to_first_key": -1},
        {"keystrokes": "secret"},
    ],
)
def test_numbers_are_bounded(change: dict[str, object]) -> None:
    fields = read_form([{"name": "label", "type": "text"}], "form")
    assert problems_of(fields, {"label": "a", PROCESS_SIGNALS: SIGNALS}) == ()
    assert read_signals({**SIGNALS, **change}) is None
    problems = problems_of(fields, {"label": "a", PROCESS_SIGNALS: {**SIGNALS, **change}})
    assert problems == ("process_signals: not as the page sends them",)


async def test_the_desk_shows_them_apart_from_the_answers(database: Path) -> None:
    visitor = Visitor(database, Access(None), "127.0.0.1")
    said = await visitor.read("/runs/1/review/desk")
    shown = await visitor.read("/runs/1/quality")
    visitor.log.close()
    assert "How it was filled in: 50% of the text pasted, 10 keys, tab left 1 time, first key after 2.5 s." in said
    assert "they are no reason by themselves" in said
    assert "process_signals" not in said
    assert "Tab left" in shown
