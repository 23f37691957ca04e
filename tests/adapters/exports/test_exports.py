"""A run as a table, in every format."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pandas
import pytest
from click.testing import CliRunner
from pyarrow import parquet

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.exports.columns import COLUMNS
from mephisto_es.adapters.exports.formats import FORMATS, load_writer
from mephisto_es.adapters.exports.frame import to_pandas
from mephisto_es.adapters.exports.parquet import SCHEMA
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
        payments = pay_ledger(moment, run).payments
    assert {payment.purpose for payment in payments} == {"pay", "bonus"}
    for row in records:
        assert row.owed_cents == sum(one.amount_cents for one in payments if one.agent == row.agent_id)


def test_what_went_in_and_what_came_out(records: list[UnitRecord]) -> None:
    handed_in = [row for row in records if row.submitted_at]
    assert handed_in
    for row in handed_in:
        assert row.started_at is not None
        assert row.work_seconds is not None
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
        assert list(row) == list(UnitRecord.__struct_fields__)
        assert json.loads(row["seqs"]) == list(record.seqs)
        assert json.loads(row["inputs"] or "null") == record.inputs
        assert datetime.fromisoformat(row["created_at"]) == record.created_at
        assert row["worker_name"] == (record.worker_name or "")


def test_parquet(database: Path, run: TaskRunId, records: list[UnitRecord], tmp_path: Path) -> None:
    path = tmp_path / "run.parquet"
    exported(database, run, "--format", "parquet", "-o", str(path))
    table = parquet.read_table(path)
    assert table.schema.equals(SCHEMA)
    assert table.column("created_at").to_pylist() == [record.created_at for record in records]
    assert table.column("owed_cents").to_pylist() == [record.owed_cents for record in records]
    assert [json.loads(text or "null") for text in table.column("outputs").to_pylist()] == plain(
        [record.outputs for record in records]
    )
    assert table.column("seqs").to_pylist() == [list(record.seqs) for record in records]


def test_pandas(database: Path, run: TaskRunId, records: list[UnitRecord]) -> None:
    frame = to_pandas(database, run)
    assert list(frame.columns) == [column.name for column in COLUMNS]
    assert frame["owed_cents"].sum() == sum(record.owed_cents for record in records)
    assert list(frame["outputs"]) == [record.outputs for record in records]
    assert pandas.isna(frame["submitted_at"]).sum() == sum(record.submitted_at is None for record in records)


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
    assert load_writer(name)(iter(()), file) == 0
    assert not file.closed


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
