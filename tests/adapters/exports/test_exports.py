"""A run as a table, in every format."""

from __future__ import annotations

import csv
import io
import json
import os
import tracemalloc
from collections import Counter
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pandas
import pytest
import yaml
from click.testing import CliRunner
from pyarrow import parquet

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.exports.codebook import codebook_of
from mephisto_es.adapters.exports.columns import COLUMNS, MAX_FLAT_COLUMNS, ColumnKind, UnitTable
from mephisto_es.adapters.exports.croissant import DataFile, croissant
from mephisto_es.adapters.exports.facts import DatasetFacts
from mephisto_es.adapters.exports.formats import FORMATS, load_writer
from mephisto_es.adapters.exports.frame import to_pandas
from mephisto_es.adapters.exports.parquet import schema_of
from mephisto_es.adapters.exports.polars_frame import to_polars
from mephisto_es.adapters.log.sqlite.as_of import open_as_of
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.errors import UnknownEntityError
from mephisto_es.core.lifecycles.unit import UnitStatus
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events.ids import TaskRunId
from mephisto_es.projections.queries.money.pay_ledger import pay_ledger
from mephisto_es.projections.queries.unit_records import UnitRecord, unit_records
from mephisto_es.projections.registry import PROJECTIONS

from ...history_search import find_history

VERDICTS = {UnitStatus.ACCEPTED, UnitStatus.SOFT_REJECTED, UnitStatus.REJECTED}


def _has_all_verdicts(state: DecisionState) -> bool:
    """Return whether the largest run has units in every status of a verdict, expired units, and bonuses."""
    counts = max((index.units_by_status for index in state.runs.values()), key=lambda one: sum(one.values()))
    bonus = any(payment.purpose == "bonus" for payment in state.payments.values())
    return bonus and all(counts.get(status) for status in (*VERDICTS, UnitStatus.EXPIRED))


HISTORY = find_history(2500, _has_all_verdicts)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("log") / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(HISTORY)
    return path


@pytest.fixture(scope="module")
def run(database: Path) -> TaskRunId:
    with open_as_of(database) as moment:
        busiest = "SELECT task_run_id FROM units GROUP BY 1 ORDER BY count(*) DESC"
        return TaskRunId(moment.db.execute(busiest).fetchone()[0])


@pytest.fixture(scope="module")
def records(database: Path, run: TaskRunId) -> list[UnitRecord]:
    with open_as_of(database) as moment:
        return list(unit_records(moment, run))


def exported(database: Path, run: int, *options: str) -> bytes:
    result = CliRunner().invoke(command.main, ["export", str(database), str(run), *options])
    assert result.exit_code == 0, result.output
    return result.stdout_bytes


def plain(value: object) -> Any:
    return json.loads(msgspec.json.encode(value))


def test_a_row_for_each_unit_of_the_run(database: Path, run: TaskRunId, records: list[UnitRecord]) -> None:
    with open_as_of(database) as moment:
        query = "SELECT unit_id, status FROM units WHERE task_run_id = ? ORDER BY unit_id"
        assert [(row.unit_id, row.unit_status) for row in records] == moment.db.execute(query, (run,)).fetchall()


def test_the_seqs_are_the_events_that_made_the_row(database: Path, run: TaskRunId, records: list[UnitRecord]) -> None:
    with open_as_of(database) as moment:
        events = {one.seq: one.envelope for one in moment.events()}
    for row in records:
        made_by = [events[seq] for seq in row.seqs]
        assert {envelope.stream for envelope in made_by} == {
            f"assignment/{run}/{row.assignment_id}",
            f"unit/{run}/{row.unit_id}",
            *([f"agent/{run}/{row.agent_id}"] if row.agent_id else []),
        }
        if row.submitted_at is not None:
            at = round(row.submitted_at.timestamp() * 1_000_000)
            assert at in {envelope.at for envelope in made_by}


def test_money_follows_the_verdict_and_bonuses(records: list[UnitRecord]) -> None:
    assert {row.unit_status for row in records} >= {"accepted", "rejected", "soft_rejected", "expired"}
    for row in records:
        paid = row.unit_status in ("accepted", "soft_rejected")
        assert row.owed_cents == (row.pay_cents if paid else 0) + row.bonus_cents
        assert (row.reviewed_at is not None) == (row.unit_status in ("accepted", "soft_rejected", "rejected"))


def test_what_is_owed_is_what_payments_owe(database: Path, run: TaskRunId, records: list[UnitRecord]) -> None:
    """But for what those are owed who do not have the unit any more."""
    with open_as_of(database) as moment:
        payments = [one for one in pay_ledger(moment, run).payments if one.status != "withdrawn"]
    assert {payment.purpose for payment in payments} == {"pay", "bonus"}
    for row in records:
        assert row.owed_cents == sum(one.amount_cents for one in payments if one.agent == row.agent_id)


def test_what_went_in_and_what_came_out(records: list[UnitRecord]) -> None:
    handed_in = [row for row in records if row.submitted_at]
    assert handed_in
    for row in handed_in:
        # A worker whose partner left before both had started may submit, too.
        assert (row.work_seconds is None) == (row.started_at is None)
        assert row.inputs == {"text": "All happy families"}
        assert row.outputs is None or isinstance(row.outputs, dict)
    assert any(isinstance(row.outputs, dict) and "rating" in row.outputs for row in handed_in)


def test_json_lines(database: Path, run: TaskRunId, records: list[UnitRecord]) -> None:
    lines = exported(database, run).splitlines()
    assert [json.loads(line) for line in lines] == plain(records)


def test_csv(database: Path, run: TaskRunId, records: list[UnitRecord]) -> None:
    text = exported(database, run, "--format", "csv").decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == len(records)
    for row, record in zip(rows, records, strict=True):
        assert list(row)[: len(COLUMNS)] == list(UnitRecord.__struct_fields__)
        assert row["input.text"] == "All happy families"
        rating = record.outputs.get("rating") if isinstance(record.outputs, dict) else None
        assert row["output.rating"] == ("" if rating is None else str(rating))
        assert json.loads(row["seqs"]) == list(record.seqs)
        assert json.loads(row["inputs"] or "null") == record.inputs
        assert datetime.fromisoformat(row["created_at"]) == record.created_at
        assert row["worker_name"] == (record.worker_name or "")


def test_parquet(database: Path, run: TaskRunId, records: list[UnitRecord], tmp_path: Path) -> None:
    path = tmp_path / "run.parquet"
    exported(database, run, "--format", "parquet", "-o", str(path))
    table = parquet.read_table(path)
    assert table.schema.equals(schema_of(UnitTable(lambda: records)))
    assert table.column("input.text").to_pylist() == [
        record.inputs["text"] if isinstance(record.inputs, dict) else None for record in records
    ]
    assert table.column("created_at").to_pylist() == [record.created_at for record in records]
    assert table.column("owed_cents").to_pylist() == [record.owed_cents for record in records]
    assert [json.loads(text or "null") for text in table.column("outputs").to_pylist()] == plain(
        [record.outputs for record in records]
    )
    assert table.column("seqs").to_pylist() == [list(record.seqs) for record in records]


def test_pandas(database: Path, run: TaskRunId, records: list[UnitRecord]) -> None:
    frame = to_pandas(database, run)
    assert list(frame.columns)[: len(COLUMNS)] == [column.name for column in COLUMNS]
    assert set(frame.columns[len(COLUMNS) :]) == {"input.text", "output.rating"}
    assert frame["output.rating"].dtype == "Int64"
    assert frame["evaluation_passed"].dtype == "boolean"
    assert frame["owed_cents"].sum() == sum(record.owed_cents for record in records)
    assert list(frame["outputs"]) == [record.outputs for record in records]
    assert pandas.isna(frame["submitted_at"]).sum() == sum(record.submitted_at is None for record in records)


def test_polars(database: Path, run: TaskRunId, records: list[UnitRecord]) -> None:
    frame = to_polars(database, run)
    assert frame.columns[: len(COLUMNS)] == [column.name for column in COLUMNS]
    assert frame["owed_cents"].sum() == sum(record.owed_cents for record in records)
    assert frame["submitted_at"].to_list() == [record.submitted_at for record in records]
    assert frame["seqs"].to_list() == [list(record.seqs) for record in records]
    assert [json.loads(text or "null") for text in frame["outputs"]] == plain([record.outputs for record in records])


def test_an_earlier_state(database: Path, run: TaskRunId, records: list[UnitRecord]) -> None:
    seq = min(record.seqs[-1] for record in records)
    with open_as_of(database, seq=seq) as moment:
        then = list(unit_records(moment, run))
    assert [json.loads(line) for line in exported(database, run, "--seq", str(seq)).splitlines()] == plain(then)
    assert len(then) < len(records)
    assert all(last <= seq for row in then for last in row.seqs)


def test_names_can_be_left_out(database: Path, run: TaskRunId, records: list[UnitRecord]) -> None:
    assert any(row.worker_name for row in records)
    rows = [json.loads(line) for line in exported(database, run, "--no-names").splitlines()]
    assert {row["worker_name"] for row in rows} == {None}
    assert {row["worker_id"] for row in rows} == {record.worker_id for record in records}


@pytest.mark.parametrize("name", FORMATS)
def test_a_run_without_units(name: str) -> None:
    file = io.BytesIO()
    assert load_writer(name)(UnitTable(list), file) == 0
    assert not file.closed


@pytest.mark.parametrize("name", ["csv", "jsonl"])
def test_rows_are_written_as_they_come(name: str, records: list[UnitRecord]) -> None:
    """Three times as many rows take no more memory."""

    def peak(rows: int) -> int:
        table = UnitTable(lambda: (record_with(records, unit_id=number, outputs="x" * 3000) for number in range(rows)))
        with open(os.devnull, "wb") as file:
            load_writer(name)(table, file)
            tracemalloc.start()
            assert load_writer(name)(table, file) == rows
            found = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        return found

    assert peak(300) < 1.5 * peak(100)


def test_nothing_is_left_of_an_export_that_fails(database: Path, tmp_path: Path) -> None:
    out = tmp_path / "run.csv"
    out.write_text("what was there")
    result = CliRunner().invoke(command.main, ["export", str(database), "9999", "--format", "csv", "-o", str(out)])
    assert result.exit_code == 1
    assert "there is no run-9999; the nearest is run-" in result.stderr
    assert out.read_text() == "what was there"
    assert list(tmp_path.iterdir()) == [out]


def test_a_folder_that_is_not_there(database: Path, run: TaskRunId, tmp_path: Path) -> None:
    out = tmp_path / "nowhere" / "run.csv"
    result = CliRunner().invoke(command.main, ["export", str(database), str(run), "-o", str(out)])
    assert result.exit_code == 2
    assert result.stderr == f"mephisto-es export: {out} cannot be written: No such file or directory\n"


def test_an_unknown_run(database: Path) -> None:
    with pytest.raises(UnknownEntityError):
        to_pandas(database, 9999)


def record_with(records: list[UnitRecord], **values: object) -> UnitRecord:
    return msgspec.structs.replace(records[0], **values)


def columns_of(*made: UnitRecord) -> dict[str, ColumnKind]:
    table = UnitTable(lambda: made)
    return {column.name: column.kind for column in table.columns[len(COLUMNS) :]}


def test_each_value_gets_a_column_of_its_type(records: list[UnitRecord]) -> None:
    first = record_with(
        records,
        inputs={"text": "a", "deep": {"er": {"x": 1}}, "empty": {}, "nothing": None},
        outputs={"label": True, "score": 1, "tags": ["a"], "mixed": 1, "big": 2**70, "files": [], "filesByFields": {}},
    )
    second = record_with(records, inputs={"text": "b"}, outputs={"score": 0.5, "mixed": "x", "final": [1]})
    third = record_with(records, inputs=None, outputs="a text")
    assert columns_of(first, second, third) == {
        "input.text": ColumnKind.TEXT,
        "input.deep.er.x": ColumnKind.INTEGER,
        "input.empty": ColumnKind.JSON,
        "input.nothing": ColumnKind.JSON,
        "output.label": ColumnKind.BOOLEAN,
        "output.score": ColumnKind.NUMBER,
        "output.tags": ColumnKind.JSON,
        "output.mixed": ColumnKind.JSON,
        "output.big": ColumnKind.JSON,
        "output.final": ColumnKind.JSON,
    }
    table = UnitTable(lambda: [first, second, third])
    rows = [dict(zip((column.name for column in table.columns), table.cells(one), strict=True)) for one in table]
    assert [row["output.score"] for row in rows] == [1.0, 0.5, None]
    assert [row["output.mixed"] for row in rows] == ["1", '"x"', None]
    assert [row["input.deep.er.x"] for row in rows] == [1, None, None]
    file = io.BytesIO()
    assert load_writer("parquet")(table, file) == 3


def test_strangers_cannot_make_any_number_of_columns(records: list[UnitRecord]) -> None:
    many = record_with(records, inputs={}, outputs={f"key {number}": number for number in range(1000)})
    assert len(columns_of(many)) == MAX_FLAT_COLUMNS
    ambiguous = record_with(records, inputs={"a.b": 1, "a": {"b": 2}}, outputs=None)
    assert columns_of(ambiguous) == {"input.a.b": ColumnKind.INTEGER}


def test_the_kind_and_the_verdict_of_a_unit(database: Path, records: list[UnitRecord]) -> None:
    kinds = {-1: "screening", -2: "gold", -3: "compensation"}
    assert all(record.kind == kinds.get(record.unit_index, "work") for record in records)
    verdicts = {"accepted": "approved", "rejected": "rejected", "soft_rejected": "soft_rejected"}
    for record in records:
        assert record.verdict == verdicts.get(record.unit_status)
        assert (record.verdict_by is None) == (record.verdict is None)


def test_nobody_is_known_from_an_anonymous_export(database: Path, run: TaskRunId, records: list[UnitRecord]) -> None:
    text = exported(database, run, "--anonymous").decode()
    assert "Zoë" not in text
    assert "me.png" not in text
    rows = [json.loads(line) for line in text.splitlines()]
    workers = [row["worker_id"] for row in rows if row["worker_id"] is not None]
    assert list(dict.fromkeys(workers)) == list(range(1, len(set(workers)) + 1))
    for row, record in zip(rows, records, strict=True):
        assert (row["worker_name"], row["agent_id"], row["review_note"], row["verdict_by"]) == (None,) * 4
        assert row["seqs"] == []
        assert row["created_at"].endswith("T00:00:00Z")
        assert (row["work_seconds"], row["unit_status"]) == (record.work_seconds, record.unit_status)


def test_a_folder_for_hugging_face(database: Path, run: TaskRunId, records: list[UnitRecord], tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    exported(database, run, "--format", "huggingface", "--no-names", "-o", str(folder))
    head = yaml.safe_load((folder / "README.md").read_text().split("---")[1])
    [config] = head["configs"]
    [data] = config["data_files"]
    table = parquet.read_table(folder / data["path"])
    assert (data["split"], table.num_rows) == ("train", len(records))
    assert head["size_categories"] == ["n<1K"]
    codebook = json.loads((folder / "codebook.json").read_text())
    assert [one["name"] for one in codebook] == table.schema.names
    by_name = {one["name"]: one for one in codebook}
    statuses = by_name["unit_status"]
    assert sum(statuses["counts"].values()) == statuses["values"] == len(records)
    assert by_name["unit_index"]["description"].startswith("Index in the assignment from 0")
    rating = by_name["output.rating"]
    assert (rating["type"], rating["description"]) == ("integer", "`rating` in `outputs`.")
    assert 1 <= rating["least"] <= rating["most"] <= 5
    assert rating["values"] + rating["missing"] == len(records)
    with open_as_of(database) as moment:
        assert moment.head().chain.hex() in (folder / "README.md").read_text()
        assert moment.head().chain.hex() in (folder / "croissant.json").read_text()


def test_a_dataset_is_described_as_croissant(
    database: Path, run: TaskRunId, records: list[UnitRecord], tmp_path: Path
) -> None:
    about = ("--license", "https://example.org/license", "--creator", "A lab", "--url", "https://example.org/data")
    exported(database, run, "--format", "huggingface", "--anonymous", *about, "-o", str(tmp_path))
    found = json.loads((tmp_path / "croissant.json").read_text())
    assert found["conformsTo"] == ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
    assert (found["license"], found["creator"]["name"], found["url"]) == (about[1], about[3], about[5])
    [file] = found["distribution"]
    body = (tmp_path / file["contentUrl"]).read_bytes()
    assert (file["sha256"], file["contentSize"]) == (sha256(body).hexdigest(), f"{len(body)} B")
    [record_set] = found["recordSet"]
    columns = parquet.read_table(tmp_path / file["contentUrl"]).schema.names
    assert [field["source"]["extract"]["column"] for field in record_set["field"]] == columns
    types = {field["name"]: field["dataType"] for field in record_set["field"]}
    assert (types["unit_id"], types["created_at"], types["output.rating"]) == (
        "sc:Integer",
        "sc:DateTime",
        "sc:Integer",
    )
    assert {"isArray", "arrayShape"} <= next(one for one in record_set["field"] if one["name"] == "seqs").keys()
    answered = Counter(one.assignment_id for one in records if one.submitted_at and one.unit_index >= 0).values()
    per_item = f"{min(answered)} to {max(answered)}" if min(answered) != max(answered) else str(min(answered))
    assert found["rai:annotationsPerItem"] == per_item
    assert len(found["rai:dataCollectionTimeFrame"]) == 2
    assert found["rai:personalSensitiveInformation"][0].startswith("Workers are numbered")
    assert found["prov:wasGeneratedBy"]["prov:wasAssociatedWith"]["prov:label"].startswith("mephisto-es ")
    assert found["prov:wasGeneratedBy"]["prov:startedAtTime"].endswith("T00:00:00+00:00")


def test_a_column_named_by_a_stranger_is_no_address(records: list[UnitRecord]) -> None:
    table = UnitTable(lambda: [record_with(records, outputs={"a b/c#<d>": 1})])
    facts = DatasetFacts(
        task_name="x",
        provider="x",
        chain="x",
        version="x",
        task_run=1,
        seq=1,
        exported_at=records[0].created_at,
        is_anonymous=False,
    )
    found: Any = croissant(table.columns, codebook_of(table), facts, DataFile(path="p", sha256="s", size=1))
    field = found["recordSet"][0]["field"][-1]
    assert (field["@id"], field["name"]) == ("units/output.a%20b%2Fc%23%3Cd%3E", "output.a b/c#<d>")


def test_a_folder_must_be_named_for_a_dataset(database: Path, run: TaskRunId) -> None:
    result = CliRunner().invoke(command.main, ["export", str(database), str(run), "--format", "huggingface"])
    assert result.exit_code == 2
    assert "give it with -o" in result.stderr
