"""The label of an item in exports: a reviewer's, the stop rule's, Dawid-Skene's or the majority's."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.exports.facts import Publication
from mephisto_es.adapters.exports.run_facts import facts_of
from mephisto_es.adapters.log.sqlite.as_of import open_as_of
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.ports import AppendRequest, NewEvent
from mephisto_es.events import streams
from mephisto_es.events.assignment import AnswerModel, AssignmentSettled, LabelEvidence, StopReason
from mephisto_es.events.ids import AgentId, AssignmentId, TaskRunId
from mephisto_es.projections.queries.quality.answers import Question, QuestionKind
from mephisto_es.projections.queries.quality.final_labels import final_method, labels_by_item
from mephisto_es.projections.queries.quality.labels import Estimate, Vote, labels_of
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import judged_history

CLASSES = ("negative", "neutral", "positive")
STOPPED: dict[str, object] = {"blueprint": {"stop_when": {"answer": "label", "classes": list(CLASSES)}}}


def weighing(choice: int) -> Callable[[Sequence[Vote]], list[Estimate]]:
    """Return an aggregator that gives every item the same label."""

    def aggregate(votes: Sequence[Vote]) -> list[Estimate]:
        return [Estimate("dawid_skene", {vote.item: (choice, 0.9967) for vote in votes}, {})]

    return aggregate


def question(items: int, answers: int, workers: int) -> Question:
    """Return a question to which workers in turns said "negative", and the last worker of each item "positive"."""
    given: dict[AssignmentId, dict[int, str]] = {}
    for number in range(items * answers):
        label = "positive" if number % answers == 2 else "negative"
        given.setdefault(AssignmentId(number // answers + 1), {})[number % workers + 1] = label
    return Question(name="label", kind=QuestionKind.CHOICE, is_numeric=False, choices=CLASSES, items=given)


def final_of(asked: Question, choice: int) -> set[tuple[object, object, object]]:
    found = labels_by_item([asked], labels_of(asked, weighing(choice)), {})
    columns = [one["label"] for one in found.values() if isinstance(one, dict)]
    assert all(isinstance(one, dict) and "dawid_skene" in one for one in columns)
    return {(one["label"], one["label_source"], one["label_confidence"]) for one in columns if isinstance(one, dict)}


@pytest.mark.parametrize("choice", [1, 2])
def test_few_answers_per_worker_leave_the_majority(choice: int) -> None:
    asked = question(items=30, answers=3, workers=20)
    assert final_of(asked, choice) == {("negative", "majority", 2 / 3)}
    assert final_method(asked, ["majority", "dawid_skene"], {}) == (
        "by majority, because workers gave 4.5 answers in the median, and Dawid-Skene needs 10"
    )


def test_many_answers_per_worker_are_weighed_but_for_what_nobody_said() -> None:
    asked = question(items=30, answers=3, workers=9)
    assert final_of(asked, choice=2) == {("positive", "dawid_skene", 0.9967)}
    assert final_of(asked, choice=1) == {("negative", "majority", 2 / 3)}
    assert final_method(asked, ["majority", "dawid_skene"], {}) == (
        "by Dawid-Skene, because workers gave 10 or more answers in the median"
    )
    assert final_method(asked, ["majority"], {}) == "by majority, because Dawid-Skene was not computed"
    decided = [AssignmentId(item) for item in range(1, 31)]
    assert final_method(asked, ["majority"], {}, decided[:3]) == (
        "by reviewers for 3 of 30 items; for the others by majority, because Dawid-Skene was not computed"
    )
    assert final_method(asked, ["majority"], {}, decided) == "by reviewers, who decided all 30 items"
    assert final_method(question(1, 3, 3), [], {}, decided[:1]) == "by a reviewer"


def test_one_answer_per_item_is_not_weighed() -> None:
    asked = question(items=30, answers=1, workers=3)
    assert final_of(asked, choice=2) == {("negative", "majority", 1.0)}
    assert final_method(asked, ["majority", "dawid_skene"], {}) == (
        "by majority, because items have 1.0 answers on average, and Dawid-Skene needs 2"
    )


def settled(item: int, posterior: float) -> NewEvent:
    evidence = LabelEvidence(
        agents=tuple(AgentId(3 * (item - 1) + place) for place in (1, 2, 3)),
        counts=(3, 0, 0),
        label="negative",
        posterior=posterior,
        confidence=0.95,
        least=2,
        most=5,
        model=AnswerModel.EQUAL_WORKERS,
        accuracy=0.8,
    )
    stream = streams.assignment(TaskRunId(1), AssignmentId(item))
    return NewEvent(stream, AssignmentSettled(evidence=evidence, by=StopReason.CONFIDENCE))


def says(worker: int, item: int) -> dict[str, object]:
    return {"label": "positive" if worker == 1 and item == 3 else "negative"}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "mephisto.db"
    history = judged_history(6, 3, 3, says, config=STOPPED)
    events = tuple(settled(item, 0.9 + item / 100) for item in (1, 2))
    last = AppendRequest(command="settling", actor="operator", at=history[-1].at + 1, events=events, payloads=())
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit((*history, last))
    return path


def run(*words: str | Path) -> str:
    result = CliRunner().invoke(command.main, [*map(str, words)])
    assert result.exit_code == 0, result.output
    return result.stdout


def exported(database: Path) -> dict[str, tuple[str, str, str]]:
    rows = csv.DictReader(io.StringIO(run("export", database, "1", "--format", "csv", "--labels")))
    names = [f"label.label.{name}" for name in ("label", "label_source", "label_confidence")]
    return {row["assignment_id"]: (row[names[0]], row[names[1]], row[names[2]]) for row in rows}


def test_a_stop_rule_gives_the_label_and_probability_that_it_settled_on(database: Path) -> None:
    found = exported(database)
    assert found["1"] == ("negative", "stop_rule", "0.91")
    assert found["2"] == ("negative", "stop_rule", "0.92")
    # Nothing is recorded about these: the model says it now.
    (label, source, unsure), (_, _, sure) = found["3"], found["4"]
    assert (label, source) == ("negative", "stop_rule")
    assert 0.5 < float(unsure) < float(sure) < 1
    assert "final      by the stop rule of the run (stop_when)" in run("quality", database, "1", "--no-labels")


def test_a_label_is_computed_again_once_its_answers_have_changed(database: Path) -> None:
    run("review", database, "1", "--reject", "agent-1", "--note", "copied")
    label, source, confidence = exported(database)["1"]
    assert (label, source) == ("negative", "stop_rule")
    assert float(confidence) != 0.91


def test_a_reviewer_comes_before_the_stop_rule(database: Path) -> None:
    run("adjudicate", database, "1", "assignment-1", "--label", "label=positive")
    found = exported(database)
    assert found["1"] == ("positive", "adjudicated", "")
    assert found["2"] == ("negative", "stop_rule", "0.92")


def test_a_report_says_how_labels_came_about(database: Path) -> None:
    for author, decided in (("ann", "assignment-3"), ("bob", "assignment-4"), ("bob", "assignment-5")):
        run("adjudicate", database, "1", decided, "--label", "label=neutral", "--as", author)
    run("adjudicate", database, "1", "assignment-5", "--take-back", "label", "--as", "bob")
    labels = json.loads(run("report", database, "1", "--json"))["labels"]
    assert labels["adjudications"] == {"items": 2, "reviewers": 2, "questions": {"label": 2}}
    adaptive = labels["adaptive"]
    assert (adaptive["confidence"], adaptive["least"], adaptive["most"]) == (0.95, 2, 5)
    # Two items stopped at three answers of five.
    assert (adaptive["stopped"], adaptive["stopped_early"]) == ({"confidence": 2}, 2)
    assert (adaptive["answers"], adaptive["answers_saved"]) == (18, 4)
    text = run("report", database, "1")
    assert "a posterior probability of at least 0.95" in text
    assert "| items that stopped because the label was sure enough | 2 |" in text
    assert "| answers saved by that | 4 (18%) |" in text
    assert "The label of 2 items was decided by 2 people" in text
    assert "ann" not in text.split("## Labels")[1]


def test_agreement_is_that_of_the_first_answers_where_a_rule_stops_items(database: Path) -> None:
    """Items that got no third answer because two agreed would show that all agree."""
    run("adjudicate", database, "1", "assignment-4", "--label", "label=neutral")
    text = run("quality", database, "1", "--no-labels")
    # The first two answers to each of six items; those to one differ.
    assert "83% of 6 pairs" in text
    assert "(6 items with 2 answers)" in text
    assert "\n             of the first 2 answers to each item: stop_when ended items once their answers agreed" in text
    assert "\n  first_answers  " in text
    assert "the answers to 1 item differ; adjudicated: 0\n" in text
    assert "final      by reviewers for 1 of 6 items; for the others by the stop rule of the run" in text
    report = run("report", database, "1")
    assert "of the first 2 answers to each item: stop" in report
    with open_as_of(database) as moment:
        facts = facts_of(moment, TaskRunId(1), Publication(), is_anonymous=True, has_labels=False)
    (label,) = facts.agreement
    assert "5 of 6 pairs of answers are equal. It is of the first 2 answers to each item" in label


def test_without_two_first_answers_agreement_is_said_to_be_too_high(tmp_path: Path) -> None:
    path = tmp_path / "mephisto.db"
    config: dict[str, object] = {"blueprint": {"stop_when": {"answer": "label", "classes": list(CLASSES), "min": 1}}}
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(judged_history(6, 3, 3, says, config=config))
    text = run("quality", path, "1", "--no-labels")
    assert "of 18 pairs" in text
    assert "\n             biased upwards: stop_when ended items once their answers agreed" in text


def test_a_report_without_a_rule_and_decisions_has_no_such_section(tmp_path: Path) -> None:
    path = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(judged_history(2, 1, 2, says))
    assert json.loads(run("report", path, "1", "--json"))["labels"]["adaptive"] is None
    assert "Labels" not in run("report", path, "1")


def test_an_export_names_who_decided_a_label_unless_it_is_anonymous(database: Path) -> None:
    run("adjudicate", database, "1", "assignment-3", "--label", "label=neutral", "--as", "ann")
    for options, author in (((), "user/ann"), (("--anonymous",), None)):
        rows = [json.loads(line) for line in run("export", database, "1", "--labels", *options).splitlines()]
        decided = {row["assignment_number"]: row["labels"]["label"] for row in rows}
        assert decided[2]["label_source"] == "adjudicated"
        assert decided[2].get("label_author") == author
        assert all("label_author" not in found for number, found in decided.items() if number != 2)
