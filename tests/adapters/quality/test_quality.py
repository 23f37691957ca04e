"""`mephisto-es quality`: figures of questions and workers, labels by crowd-kit, and what suggests a look."""

from __future__ import annotations

import csv
import io
import json
import warnings
from pathlib import Path
from random import Random

import pandas
import pytest
from click.testing import CliRunner, Result

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.log.sqlite.as_of import open_as_of
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.quality.loading import load_aggregator
from mephisto_es.core.ports import AppendRequest
from mephisto_es.events.ids import TaskRunId, WorkerId
from mephisto_es.projections.queries.quality.report import QualityReport, quality_report
from mephisto_es.projections.queries.quality.worker_quality import Suggestion
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import judged_history

CHOICES = ("bird", "cat", "dog")
WORKERS, ITEMS, JUDGMENTS = 20, 40, 5
#: A fifth of the crowd: they answer at random, always the same, or always the wrong choice.
SPAMMERS = {3, 8, 13, 18}
FIGURES = ("interval.low", "posterior", "interval.high")
GOLDS = {1: True, 2: True, 3: False}


def truth(item: int) -> str:
    return CHOICES[item * 7 % 3]


def label_of(worker: int, item: int) -> str:
    rng = Random(f"{worker}, {item}")
    if worker in (3, 8):
        return rng.choice(CHOICES)
    if worker == 13:
        return "cat"
    if worker == 18:
        return CHOICES[(CHOICES.index(truth(item)) + 1) % 3]
    return truth(item) if rng.random() < 0.85 else rng.choice(CHOICES)


def answers_of(worker: int, item: int) -> dict[str, object]:
    rng = Random(f"sure {worker}, {item}")
    comment = "what I always write here" if worker == 13 else f"comment {worker} on item {item}, and more"
    return {"label": label_of(worker, item), "how": {"sure": rng.random(), "blurred": False}, "comment": comment}


def log_of(path: Path, history: tuple[AppendRequest, ...]) -> Path:
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(history)
    return path


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config: dict[str, object] = {"quality": {"min_gold": 0.8, "min_seconds": None}}
    history = judged_history(ITEMS, JUDGMENTS, WORKERS, answers_of, golds=GOLDS, config=config)
    return log_of(tmp_path_factory.mktemp("log") / "mephisto.db", history)


@pytest.fixture(scope="module")
def report(database: Path) -> QualityReport:
    with open_as_of(database) as moment:
        return quality_report(moment, TaskRunId(1), aggregator=load_aggregator())


@pytest.fixture(scope="module")
def table() -> pandas.DataFrame:
    """Return the answers as crowd-kit wants them."""
    rows = []
    for number in range(ITEMS * JUDGMENTS):
        worker, item = number % WORKERS + 1, number // JUDGMENTS + 1
        rows.append({"task": item, "worker": worker, "label": label_of(worker, item)})
    return pandas.DataFrame(rows)


def run(*words: str | Path | float) -> Result:
    return CliRunner().invoke(command.main, [*map(str, words)])


def labels_in(report: QualityReport, method: str) -> dict[int, object]:
    (found,) = (one for one in report.labels if (one.question, one.method) == ("label", method))
    return {one.item: one.label for one in found.labels}


def test_figures_are_those_of_crowd_kit(report: QualityReport, table: pandas.DataFrame) -> None:
    question = next(one for one in report.questions if one.question == "label")
    assert question.agreement is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Not at the top: it takes most of a second, and every process of the suite imports this file.
        from crowdkit.aggregation import MACE, DawidSkene, MajorityVote
        from crowdkit.metrics.data import alpha_krippendorff

        assert question.agreement.alpha == pytest.approx(alpha_krippendorff(table))
        dawid_skene = DawidSkene().fit(table)
        # Ties of a majority are anybody's choice.
        shares = MajorityVote().fit(table).probas_
        mace = MACE(n_restarts=1).fit(_renumbered(table))
    assert labels_in(report, "dawid_skene") == dawid_skene.labels_.to_dict()
    clear = shares[shares.eq(shares.max(axis=1), axis=0).sum(axis=1) == 1].idxmax(axis=1).to_dict()
    assert {item: labels_in(report, "majority")[item] for item in clear} == clear
    names = dict(enumerate(dict.fromkeys(table["label"])))
    assert labels_in(report, "mace") == {item: names[label] for item, label in mace.labels_.items()}
    (found,) = (one for one in report.labels if (one.question, one.method) == ("label", "mace"))
    assert found.skills == pytest.approx({number + 1: mace.spamming_[number, 1] for number in range(WORKERS)})


def _renumbered(table: pandas.DataFrame) -> pandas.DataFrame:
    """Return the answers with numbers in the order in which they appear, which MACE takes for granted."""
    return table.assign(worker=pandas.factorize(table["worker"])[0], label=pandas.factorize(table["label"])[0])


def test_labels_are_better_than_majorities_and_spammers_rank_last(report: QualityReport) -> None:
    wrong = {
        method: sum(label != truth(item) for item, label in labels_in(report, method).items())
        for method in ("majority", "dawid_skene", "mace")
    }
    assert wrong["dawid_skene"] <= wrong["majority"]
    assert wrong["mace"] <= wrong["majority"]
    assert {one.worker for one in report.workers[-len(SPAMMERS) :]} == SPAMMERS
    assert [one.rank for one in report.workers] == [*range(1, WORKERS + 1)]


def test_spammers_rank_last_without_crowd_kit_too(database: Path) -> None:
    with open_as_of(database) as moment:
        found = quality_report(moment, TaskRunId(1))
    assert {one.worker for one in found.workers[-len(SPAMMERS) :]} == SPAMMERS
    assert {one.method for one in found.labels} == {"majority", "median"}
    assert all(one.skill is None for one in found.workers)


def test_questions_have_their_kinds(report: QualityReport) -> None:
    kinds = {one.question: (one.kind.value, one.answers, one.items) for one in report.questions}
    assert kinds == {
        "label": ("choice", 200, 40),
        "how.sure": ("number", 200, 40),
        "how.blurred": ("choice", 200, 40),
        "comment": ("text", 200, 40),
    }
    metrics = {one.question: one.agreement and one.agreement.alpha_metric for one in report.questions}
    assert metrics == {"label": "nominal", "how.sure": "interval", "how.blurred": "nominal", "comment": None}


def test_signs_suggest_a_look_and_decide_nothing(report: QualityReport, database: Path) -> None:
    by_worker = {one.worker: one for one in report.workers}
    assert by_worker[WorkerId(3)].suggestions == (
        Suggestion(
            text="0 of 1 gold units right, below 80% (quality.min_gold)", where={"worker": "worker-3", "kind": "gold"}
        ),
    )
    assert (by_worker[WorkerId(1)].gold_passed, by_worker[WorkerId(1)].gold, by_worker[WorkerId(4)].gold) == (1, 1, 0)
    assert by_worker[WorkerId(13)].repeated_texts == 9
    texts = [one.text for one in by_worker[WorkerId(13)].suggestions]
    assert "9 texts submitted before for another item" in texts
    (repeated,) = report.repeated_texts
    assert (repeated.question, repeated.text) == ("comment", "what I always write here")
    assert (repeated.pieces, repeated.items, repeated.by_worker) == (10, 10, {13: 10})
    assert by_worker[WorkerId(1)].suggestions == ()
    with open_as_of(database) as moment:
        assert {worker.status for worker in moment.db.find_workers()} == {"registered"}


def test_the_verb_says_what_was_found_and_how(database: Path) -> None:
    text = run("quality", database, "--no-labels", "--min-seconds", 90).stdout
    assert "run-1  sentence rating: 203 pieces of work by 20 workers" in text
    assert "look at worker-3 (Zoë 3): 0 of 1 gold units right, below 80% (quality.min_gold)" in text
    assert "look at worker-4 (Zoë 4): 10 of 10 pieces in less than 90 s (quality.min_seconds)" in text
    assert "\n  shares     " in text
    for figure in (
        "shares",
        "accuracy",
        "alpha",
        "percent",
        "fleiss_kappa",
        "cohen_kappa",
        "majority",
        "median",
        "skill",
    ):
        assert f"\n  {figure}  " in text
    assert "Zoë" not in run("quality", database, "--pseudonyms", "--no-labels").stdout


def test_json_has_every_figure_with_its_method(database: Path) -> None:
    found = json.loads(run("quality", database, 1, "--json", "--no-labels", "--min-gold", 0.5).stdout)
    assert found["rules"] == {"min_gold": 0.5, "min_seconds": None}
    assert len(found["workers"]) == WORKERS
    assert {one["method"] for one in found["labels"]} <= found["methods"].keys()
    assert {"alpha", "fleiss_kappa", "cohen_kappa", "skill", "gold", "fast"} <= found["methods"].keys()


def test_rejected_work_does_not_count_for_labels(tmp_path: Path) -> None:
    def half(worker: int, item: int) -> dict[str, object]:
        return {"label": "no" if worker == 2 else "yes", "score": worker / 100 + item}

    database = log_of(tmp_path / "mephisto.db", judged_history(25, 2, 2, half))
    assert "0% of 25 pairs" in run("quality", database, "--no-labels").stdout
    agents = [f"agent-{number}" for number in range(2, 51, 2)]
    assert (
        run(
            "review", database, 1, *(word for one in agents for word in ("--reject", one)), "--note", "copied"
        ).exit_code
        == 0
    )
    text = run("quality", database, "--no-labels").stdout
    assert "no item has two answers" in text
    assert "score  number, 25 answers to 25 items by 1 worker\n" in text
    assert "50 pieces of work by 2 workers" in text


def test_ids_that_the_page_filled_in_are_no_question(tmp_path: Path) -> None:
    def with_ids(worker: int, item: int) -> dict[str, object]:
        return {
            "label": "yes",
            "agent": f"token {2 * (item - 1) + worker}",
            "told": "token 3",
        }

    database = log_of(tmp_path / "mephisto.db", judged_history(10, 2, 2, with_ids))
    found = json.loads(run("quality", database, "--no-labels", "--json").stdout)
    names = [question["question"] for question in found["questions"]]
    assert "agent" not in names
    assert {"label", "told"} <= set(names)


def test_series_of_equal_answers_and_hurried_work_are_signs(tmp_path: Path) -> None:
    def lazy(worker: int, item: int) -> dict[str, object]:
        return {"label": "d" if worker == 1 else "abcdefg"[(item * worker) % 7], "note": None}

    database = log_of(tmp_path / "mephisto.db", judged_history(40, 4, 4, lazy))
    found = json.loads(run("quality", database, "--json", "--no-labels").stdout)
    signs = {one["worker"]: [sign["text"] for sign in one["suggestions"]] for one in found["workers"]}
    assert signs == {1: ["the same answers 40 times in a row"], 2: [], 3: [], 4: []}


def test_a_run_without_work_and_a_run_that_is_not_there(tmp_path: Path) -> None:
    database = log_of(tmp_path / "mephisto.db", judged_history(2, 1, 1, lambda *_: {"label": "a"})[:9])
    assert "0 pieces of work by 0 workers" in run("quality", database).stdout
    assert run("quality", database, 9).exit_code == 1


def test_labels_are_in_the_export(database: Path, report: QualityReport) -> None:
    text = run("export", database, 1, "--format", "csv", "--labels").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    expected = labels_in(report, "dawid_skene")
    for row in rows:
        item = int(row["assignment_id"])
        assert row["label.label.dawid_skene.label"] == expected.get(item, "")
        assert row["label.label.label"] == expected.get(item, "")
        assert row["label.label.label_source"] == ("dawid_skene" if item in expected else "")
        assert json.loads(row["labels"] or "{}").get("how.sure", {}).keys() == (
            {"median", "label", "label_source", "label_confidence"} if item in expected else set()
        )
    majority = [row for row in rows if row["label.label.majority.label"]]
    for row in majority:
        low, posterior, high = (float(row[f"label.label.majority.{one}"]) for one in FIGURES)
        assert 0 <= low <= posterior <= high <= 1
    assert len(majority) == 200
    assert json.loads(run("export", database, 1).stdout.splitlines()[0])["labels"] is None
