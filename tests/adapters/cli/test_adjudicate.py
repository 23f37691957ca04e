"""`mephisto-es adjudicate`: items whose answers differ, decisions about them, and what becomes of these."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.projections.registry import PROJECTIONS

from ...json_schema import assert_fits
from ...sample_log import judged_history


def answers_of(worker: int, item: int) -> dict[str, object]:
    label = "dog" if worker == 1 and item in (2, 3) else "cat"
    return {
        "label": label,
        "sure": worker % 2 == 0,
        "score": worker + item / 100,
        "why": f"worker {worker} saw this in item {item}",
    }


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(judged_history(9, 3, 3, answers_of))
    return path


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(command.main, [*map(str, words)])


def adjudicate(database: Path, *words: str) -> Result:
    return run("adjudicate", database, "1", *words)


def test_items_that_differ_are_listed_and_decided(database: Path) -> None:
    listed = adjudicate(database, "--question", "label").stdout
    assert "run-1: answers differ, and nobody has decided: 2; decided: 0" in listed
    assert "assignment-2  label     cat 2, dog 1" in listed
    done = adjudicate(database, "assignment-2", "--label", "label=dog", "--note", "look at the ears", "--as", "ann")
    assert done.stdout == 'assignment-2  in {"id":2}\nassignment-2: label is dog\n'
    listed = adjudicate(database, "--question", "label").stdout
    assert "nobody has decided: 1; decided: 1" in listed
    assert "dog, by ann: look at the ears" in listed
    shown = adjudicate(database, "assignment-2").stdout
    assert "  dog  worker-1 (Zoë 1)\n  decided: dog, by ann: look at the ears\n" in shown
    assert "Zoë" not in adjudicate(database, "assignment-2", "--pseudonyms").stdout
    found = json.loads(adjudicate(database, "--question", "label", "--json").stdout)["disagreements"]
    assert [(one["item"], one["decision"] and one["decision"]["label"]) for one in found] == [(3, None), (2, "dog")]
    timeline = run("timeline", database, "assignment-2").stdout
    assert "a reviewer decided the answer to label, having seen unit-4, unit-5, unit-6 (by ann)" in timeline
    explained = " ".join(run("explain", database, "assignment-2").stdout.split())
    assert 'decided the answer to label, having seen unit-4, unit-5, unit-6: "dog" seq' in explained
    assert run("verify", database).exit_code == 0
    assert run("replay", database).exit_code == 0


def test_answers_and_decisions_are_one_object_for_programs(database: Path) -> None:
    def structured(*words: str) -> Any:
        return assert_fits("adjudicate", adjudicate(database, "assignment-2", *words, "--json").stdout)

    answers = structured()
    assert (answers["run"], answers["item"], answers["inputs"]) == ("run-1", 2, {"id": 2})
    label = next(one for one in answers["questions"] if one["question"] == "label")
    assert [(one["label"], len(one["workers"])) for one in label["answers"]] == [("cat", 2), ("dog", 1)]
    assert label["decision"] is None
    assert structured("--label", "label=dog", "--label", "sure=true") == {
        "run": "run-1",
        "item": 2,
        "decisions": [
            {"question": "label", "label": "dog", "repeated": False},
            {"question": "sure", "label": True, "repeated": False},
        ],
    }
    assert structured("--label", "label=dog")["decisions"] == [{"question": "label", "label": "dog", "repeated": True}]
    assert structured("--take-back", "label")["decisions"] == [{"question": "label", "label": None, "repeated": False}]
    label = next(one for one in structured()["questions"] if one["question"] == "label")
    assert label["decision"]["is_taken_back"]


def test_a_file_of_decisions_is_checked_first_and_recorded_once(database: Path, tmp_path: Path) -> None:
    file, head = tmp_path / "decided.csv", "assignment,question,answer,note\n"

    def decide(text: str, *words: str) -> Result:
        file.write_text(text)
        return adjudicate(database, "--decisions", str(file), *words)

    for wrong, said in (
        ("two,label,dog,\n", "line 2 of decided.csv: 'two' is not an assignment"),
        ("2,,dog,\n", "line 2 of decided.csv: the question is missing"),
        ("2,label,dog,\n2,label,cat,\n", "'label' of assignment-2 is decided twice"),
        ("2,label,dog,\n99,label,dog,\n", "line 3 of decided.csv: there is no assignment 99 of run-1"),
        ("2,label,dog,\n3,lable,dog,\n", "line 3 of decided.csv: there are no answers to 'lable'"),
        ("2,label,dog,\n3,lable,dog,\n", "Did you mean 'label'?"),
        ("2,label,,\n", "decided.csv has no line with an answer, so nothing was recorded"),
        ("", "decided.csv has no line with an answer, so nothing was recorded"),
    ):
        refused = decide(head + wrong)
        assert refused.exit_code != 0
        assert said in refused.stderr, refused.output
    assert "decided: 0" in adjudicate(database, "--question", "label").stdout
    good = f"{head}assignment-2,label,dog,look at the ears\n3,label,cat,\n4,label,,\n"
    assert decide(good).stdout == "assignment-2: label is dog\nassignment-3: label is cat\n"
    assert decide(good).stdout.count("(recorded before)") == 2
    found = assert_fits("adjudicate", decide(good, "--json").stdout)
    assert [(one["item"], one["decisions"][0]["label"]) for one in found["items"]] == [(2, "dog"), (3, "cat")]
    assert decide(good, "--note", "x").exit_code == 2


def test_a_file_of_decisions_is_read_as_spreadsheets_write_it(database: Path, tmp_path: Path) -> None:
    file = tmp_path / "decided.csv"
    for text, said in (
        ("item;question;answer\n2;label;dog\n", "decided.csv: the column 'assignment' is missing; the columns are"),
        ("assignment|question|answer\n2|label|dog\n", "the columns are 'assignment|question|answer'"),
    ):
        file.write_text(text)
        refused = adjudicate(database, "--decisions", str(file))
        assert (refused.exit_code, said in refused.stderr) == (2, True), refused.output
    assert "decided: 0" in adjudicate(database, "--question", "label").stdout
    gone = adjudicate(database, "--decisions", str(tmp_path / "none.csv"))
    assert (gone.exit_code, "there is no such file" in gone.stderr) == (2, True)
    file.write_bytes("\ufeffAssignment;Question;Answer\r\nassignment-2;label;dog\r\n".encode())
    assert adjudicate(database, "--decisions", str(file)).stdout == "assignment-2: label is dog\n"
    file.write_text("sep=;\nassignment;question;answer\n3;label;cat\n")
    assert adjudicate(database, "--decisions", str(file)).stdout == "assignment-3: label is cat\n"


def test_a_decision_is_recorded_once_and_revised(database: Path) -> None:
    assert "recorded before" not in adjudicate(database, "2", "--label", "label=dog").stdout
    assert "label is dog  (recorded before)" in adjudicate(database, "2", "--label", "label=dog").stdout
    assert adjudicate(database, "2", "--label", "label=cat").stdout.endswith("\nassignment-2: label is cat\n")
    taken_back = adjudicate(database, "2", "--take-back", "label").stdout
    assert taken_back.endswith("\nassignment-2: label: the decision is taken back\n")
    assert "decided: taken back by" in adjudicate(database, "2").stdout
    assert "there is no decision on 'label'" in adjudicate(database, "2", "--take-back", "label").stderr
    assert adjudicate(database, "2", "--label", "label=cat").exit_code == 0
    assert run("timeline", database, "assignment-2").stdout.count("decided the answer to label") == 3


def test_answers_have_the_type_of_the_others(database: Path) -> None:
    done = adjudicate(database, "4", "--label", "sure=true", "--label", "score=2.5", "--label", "label=a new one")
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader(io.StringIO(run("export", database, "1", "--format", "csv", "--labels").stdout)))
    (row, *_) = (one for one in rows if one["assignment_id"] == "4")
    assert row["label.sure.label"] == "true"
    assert (row["label.score.label"], row["label.score.label_source"]) == ("2.5", "adjudicated")
    assert (row["label.label.label"], row["label.label.label_confidence"]) == ("a new one", "")
    (other, *_) = (one for one in rows if one["assignment_id"] == "5")
    assert (other["label.score.label"], other["label.score.label_source"]) == ("2.05", "median")
    for text, said in (
        ("sure=perhaps", "'perhaps' is no answer to 'sure'"),
        ("sure=1", "'1' is no answer to 'sure'"),
        ("score=true", "'true' is no answer to 'score'"),
        ("score=[1, 2]", "'[1, 2]' is no answer to 'score'"),
        ("lable=x", "Did you mean 'label'?"),
        (f"label={'x' * 10_001}", "a label has 1 to 10,000 characters"),
        ("label", "write --label QUESTION=ANSWER"),
    ):
        refused = adjudicate(database, "4", "--label", text)
        assert refused.exit_code != 0
        assert said in refused.stderr, refused.output


def test_a_label_is_an_option_of_the_form_or_was_given(tmp_path: Path) -> None:
    path = tmp_path / "mephisto.db"
    form = [
        {"name": "label", "type": "choice", "options": ["cat", {"value": "horse", "label": "A horse"}]},
        {"name": "why", "type": "textarea"},
    ]
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(judged_history(9, 3, 3, answers_of, config={"blueprint": {"form": form}}))
    refused = adjudicate(path, "4", "--label", "label=hors")
    assert refused.exit_code == 2
    assert "'hors' is no option of 'label'" in refused.stderr
    assert "Did you mean 'horse'?" in refused.stderr
    for text in ("label=horse", "label=dog", "why=anything"):
        assert adjudicate(path, "4", "--label", text).exit_code == 0


@pytest.mark.parametrize("config", [{"blueprint": None}, {"blueprint": {"form": None}}, {"blueprint": "other"}])
def test_without_a_form_any_text_is_an_answer(tmp_path: Path, config: dict[str, object]) -> None:
    path = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(judged_history(2, 3, 3, answers_of, config=config))
    assert adjudicate(path, "2", "--label", "label=another").exit_code == 0


def test_figures_of_workers_compare_with_decisions(database: Path) -> None:
    adjudicate(database, "2", "--label", "label=dog", "--label", "why=worker 3 saw this in item 2")
    adjudicate(database, "3", "--label", "label=cat")
    found = json.loads(run("quality", database, "--json", "--no-labels").stdout)
    figures = {one["worker"]: (one["adjudicated_right"], one["adjudicated"]) for one in found["workers"]}
    assert figures == {1: (1, 2), 2: (1, 2), 3: (1, 2)}
    (label,) = (one for one in found["questions"] if one["question"] == "label")
    assert (label["differing"], label["undecided"]) == (2, 0)
    decided = {one["question"]: len(one["labels"]) for one in found["labels"] if one["method"] == "adjudicated"}
    assert decided == {"label": 2, "why": 1}


def test_a_workers_own_words_are_erased_with_the_worker(database: Path) -> None:
    words = "worker 3 saw this in item 2"
    adjudicate(database, "2", "--label", f"why={words}", "--label", "label=dog", "--note", "as worker 3 says")
    assert words.encode() in database.read_bytes()
    erased = run("erase", database, "worker-3", "--reason", "asked for it")
    assert erased.exit_code == 0, erased.output
    shown = adjudicate(database, "2").stdout
    assert "decided: dog" in shown
    assert "decided: erased, by" in shown
    explained = " ".join(run("explain", database, "assignment-2").stdout.split())
    assert "the answer to why, having seen unit-4, unit-5, unit-6; the answer was erased" in explained
    found = json.loads(run("export", database, "1", "--labels").stdout.splitlines()[3])
    assert found["labels"]["label"]["adjudicated"]["label"] == "dog"
    assert "adjudicated" not in found["labels"].get("why", {})
    assert words.encode() not in database.read_bytes()
    assert run("verify", database).exit_code == 0
    assert run("replay", database).exit_code == 0


def test_what_cannot_be_asked_for(database: Path) -> None:
    assert "--label and --take-back need an ASSIGNMENT" in adjudicate(database, "--label", "label=dog").stderr
    assert "--note goes with --label" in adjudicate(database, "2", "--note", "x").stderr
    assert "leave out the ASSIGNMENT" in adjudicate(database, "2", "--question", "label").stderr
    assert "there is no assignment 99" in adjudicate(database, "99").stderr
    with SqliteLog.create_or_open(database.with_name("empty.db"), PROJECTIONS) as log:
        log.commit(judged_history(2, 1, 1, lambda *_: {"label": "a"})[:9])
    empty = database.with_name("empty.db")
    assert adjudicate(empty).stdout == "run-1: no answers differ.\n"
    assert "nobody has submitted anything yet" in adjudicate(empty, "1").stdout


def test_the_item_is_shown_cut_and_without_what_acts_on_a_terminal(tmp_path: Path) -> None:
    path = tmp_path / "mephisto.db"
    shared: dict[str, object] = {"text": "[red]\x1b[31m\x9b31m" + "a" * 5000}
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(judged_history(1, 2, 2, answers_of, shared=lambda _: shared))
    for words in ((), ("--label", "label=cat")):
        shown = adjudicate(path, "assignment-1", *words).stdout
        line = shown.splitlines()[0]
        assert line.startswith('assignment-1  in {"id":1,"text":"[red]')
        assert line.endswith("aaa ...")
        assert len(line) < 500
        assert "\x1b" not in shown
        assert "\x9b" not in shown
