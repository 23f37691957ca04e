"""`mephisto-es report`: what a methods section says about a run, in every format."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.log.sqlite.as_of import open_as_of
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.reports.document import Caution, Document, Grid, Paragraph, Section
from mephisto_es.adapters.reports.markup import WRITERS
from mephisto_es.core.ports import NewEvent
from mephisto_es.events import streams
from mephisto_es.events.engagement import RefusalReason, WorkerExcluded, WorkerRefused
from mephisto_es.events.ids import WorkerId
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import RUN, judged_history


def answer(worker: int, item: int) -> dict[str, object]:
    return {"label": "yes" if (item + (worker == 3)) % 2 else "no"}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A run with two answers to each of ten items: three approved, one of them with a bonus, and one rejected."""
    history = list(judged_history(10, 2, 4, answer, config={"task": {"minimum_hourly_pay": "18.00"}}))
    path = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(history)
    verdicts = ["--approve", "agent-1", "--approve", "agent-2", "--reject", "agent-4", "--note", "copied"]
    assert run("review", path, 1, *verdicts).exit_code == 0
    assert run("review", path, 1, "--approve", "agent-3", "--bonus", "0.10").exit_code == 0
    return path


def run(*words: str | Path | int) -> Result:
    return CliRunner().invoke(command.main, [*map(str, words)])


def test_the_facts(database: Path) -> None:
    found = json.loads(run("report", database, 1, "--json").stdout)
    facts = found["report"]
    assert (facts["workers_came"], facts["workers_submitted"], facts["pieces"]) == (4, 4, 20)
    assert (facts["median_pieces_per_worker"], facts["most_pieces_of_a_worker"]) == (5.0, 5)
    assert facts["verdicts"] == {"completed": 16, "accepted": 3, "rejected": 1}
    assert facts["times"] == {"count": 20, "median": 60.0, "lower_quartile": 60.0, "upper_quartile": 60.0}
    assert facts["hourly_pay"]["median_cents"] == 1500
    assert facts["costs"] == {
        "pay_cents": 75,
        "bonus_cents": 10,
        "fee_percent": 0,
        "fee_cents": 0,
        "model_cents": 0,
        "total_cents": 85,
        "unreviewed": 16,
    }
    (label,) = found["questions"]
    # The rejected answer leaves nine pairs.
    assert (label["question"], label["agreement"]["pairs"]) == ("label", 9)
    with open_as_of(database) as moment:
        assert found["origin"]["chain"] == moment.head().chain.hex()


def test_the_text_warns_below_the_floor(database: Path) -> None:
    text = run("report", database).stdout
    assert "from 4 workers through the provider mock" in text
    assert "| submitted work: no verdict yet | 16 |" in text
    assert "The median hourly pay, 15.00, is below the minimum of 18.00" in text
    assert "**Note:**" in run("report", database, "--floor", "15.50").stdout
    fair = run("report", database, "--floor", "14.00").stdout
    assert "below the minimum" not in fair
    assert "16 pieces of work without a verdict are not in the cost yet." in fair
    assert run("report", database, "--floor", "much").exit_code == 2


def test_gold_units_are_no_items_of_the_data(tmp_path: Path) -> None:
    path = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(judged_history(4, 2, 3, answer, golds={1: True, 2: False, 3: True}))
    text = run("report", path).stdout
    assert "| items of the data | 4 |\n| gold items | 3 |\n| units of work | 8 |\n| units of gold | 3 |" in text
    facts = json.loads(run("report", path, "--json").stdout)["report"]
    assert facts["items_by_kind"] == {"work": 4, "gold": 3}


def test_exclusions_are_counted_by_rule_and_once_for_a_worker(tmp_path: Path) -> None:
    history = list(judged_history(4, 1, 2, answer))
    last = history[-1]
    refused = WorkerRefused(rule="qualifications", inputs={}, reason=RefusalReason.NOT_QUALIFIED)
    stream = streams.engagement(RUN, WorkerId(1))
    events = [
        NewEvent(stream, refused),
        NewEvent(stream, refused),
        NewEvent(stream, WorkerExcluded(reason="screening")),
    ]
    path = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit([*history, replace(last, command="refuse", events=tuple(events), payloads=())])
    text = run("report", path).stdout
    assert "| workers turned away at least once by the rule qualifications | 1 |" in text
    assert "| workers excluded: screening | 1 |" in text
    assert "No item has answers of two workers" in text


def test_the_name_of_the_file_says_the_format(database: Path, tmp_path: Path) -> None:
    for name, beginning in (
        ("r.html", "<!DOCTYPE html>"),
        ("r.tex", "% sentence rating"),
        ("r.md", "# sentence rating"),
    ):
        assert run("report", database, 1, "-o", tmp_path / name).stdout == ""
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(beginning)
    assert run("report", database, 1, "-o", tmp_path / "none" / "r.md").exit_code == 2
    assert run("report", database, 9).exit_code == 1


def test_text_of_strangers_stays_text() -> None:
    hostile = "<script>|\\input{x}_*`$&\x1b[31m"
    document = Document(
        hostile, (Section(hostile, (Paragraph(hostile), Caution(hostile), Grid(("", hostile), ((hostile, hostile),)))),)
    )
    html = WRITERS["html"](document)
    tags: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: tags.append(tag)  # type: ignore[method-assign]  # collects the tags
    parser.feed(html)
    assert "script" not in tags
    latex = WRITERS["latex"](document)
    assert r"\textbar{}\textbackslash{}input\{x\}\_{*}\textasciigrave{}\$\&" in latex
    markdown = WRITERS["markdown"](document)
    assert r"\<script\>\|\\input{x}\_\*\`$&" in markdown
    assert all("\x1b" not in text for text in (html, latex, markdown))


def test_no_cell_of_latex_is_an_argument_of_the_row_before() -> None:
    hostile = ("[2pt] a bracket", "* a star", "-- a dash", "^^M", "\\end{tabular}", "%", "}{", "\\\\")
    document = Document("t", (Section("s", (Grid(("", ""), tuple((one, one) for one in hostile)),)),))
    rows = WRITERS["latex"](document).split("\\hline\n")[1].split("\n\\end{tabular}")[0].splitlines()
    assert [row.partition(" & ")[0] for row in rows] == [
        "{[}2pt] a bracket",
        "{*} a star",
        "-{}-{} a dash",
        r"\textasciicircum{}\textasciicircum{}M",
        r"\textbackslash{}end\{tabular\}",
        r"\%",
        r"\}\{",
        r"\textbackslash{}\textbackslash{}",
    ]
