"""Entities on the command line: by id in any spelling, workers by name, the run left out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.composition.data_dir import LOCAL_DATA_DIR
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.ports import AppendRequest, NewEvent
from mephisto_es.events import ids, streams
from mephisto_es.events.task_run import TaskRunCreated, TaskRunDraining
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import sample_history


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("named")
    with SqliteLog.create_or_open(folder / "mephisto.db", PROJECTIONS) as log:
        log.commit(sample_history())
    return folder


@pytest.fixture
def data(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(tmp_path / "config.yml"))
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(written, tmp_path / LOCAL_DATA_DIR))


def ask(*words: object) -> Result:
    return CliRunner().invoke(command.main, list(map(str, words)))


def answer(*words: object) -> str:
    result = ask(*words)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("verb", ["status", "blockers", "ledger", "review", "export"])
def test_the_only_run_may_be_left_out(verb: str, data: Path) -> None:
    assert answer(verb) == answer(verb, data) == answer(verb, 1) == answer(verb, data, "run1") == answer(verb, "run-1")


def test_the_only_run_may_be_left_out_before_a_check(data: Path) -> None:
    said = "every cent of 0 payments is traced to a decision"
    for words in ((), (data,), (1,), (data, 1)):
        assert said in answer("ledger", *words, "verify")


def test_one_of_several_runs_has_to_be_named(data: Path) -> None:
    with SqliteLog.create_or_open(data / "mephisto.db", PROJECTIONS) as log:
        created = TaskRunCreated(
            task_run=ids.TaskRunId(2),
            task=ids.TaskId(1),
            requester=ids.RequesterId(1),
            blueprint_type="static_task",
            architect_type="local",
            provider_type="mock",
            config="{}",
        )
        event = NewEvent(streams.task_run(created.task_run), created)
        log.commit([AppendRequest(command="again", actor="operator", at=log.head().at, events=(event,))])
    result = ask("review")
    assert result.exit_code == 2
    assert "This log has 2 runs; name one of them as RUN: run-1 (live), run-2 (created)." in result.stderr


@pytest.mark.parametrize("written_as", ["worker-3", "worker3", "3", "Zoë 3", "name=Zoë 3", "id=3"])
def test_a_worker_is_named_in_many_ways(written_as: str, data: Path) -> None:
    assert answer("worker", written_as, "--block", "at random") == "worker-3 (Zoë 3): blocked: at random\n"
    if written_as not in {"3", "id=3"}:  # which may be an agent, too
        assert answer("explain", written_as) == answer("explain", data, "worker-3")
    assert answer("timeline", "name=Zoë 3") == answer("timeline", data, "worker-3")


def test_an_unknown_name_changes_nothing(data: Path) -> None:
    result = ask("worker", "Zoë", "--block", "at random")
    assert (result.exit_code, result.stderr) == (
        1,
        "mephisto-es worker: there is no worker with the id or name 'Zoë'\n",
    )


def test_names_are_shown_unless_pseudonyms_are_wanted(data: Path) -> None:
    assert "worker-2 (Zoë 2)" in answer("review")
    assert "Zoë" not in answer("review", "--pseudonyms")
    assert {one["worker_name"] for one in json.loads(answer("review", "--pseudonyms", "--json"))["units"]} == {None}
    assert "worker-3 (Zoë 3)" in answer("explain", "worker-3")
    assert "Zoë" not in answer("explain", "worker-3", "--pseudonyms")
    answer("review", "--approve-all")
    for verb in (("ledger",), ("pay", "--dry-run")):
        assert "worker-3 (Zoë 3)" in answer(*verb)
        assert "Zoë" not in answer(*verb, "--pseudonyms")
    assert answer("worker", "Zoë 3", "--block", "x", "--pseudonyms") == "worker-3: blocked: x\n"


def test_an_erased_worker_has_no_name(data: Path) -> None:
    answer("review", "--approve-all")
    ask("erase", "Zoë 3", "--reason", "asked us to")
    assert "Zoë 3" not in answer("ledger")
    assert "worker-3 " in answer("ledger")
    assert "there is no agent or worker or assignment 'Zoë 3'" in ask("explain", "name=Zoë 3").stderr


def test_a_pause_that_waits_is_shown(data: Path) -> None:
    with SqliteLog.create_or_open(data / "mephisto.db", PROJECTIONS) as log:
        draining = NewEvent(streams.task_run(ids.TaskRunId(1)), TaskRunDraining(reason="for the night"))
        log.commit([AppendRequest(command="night", actor="user/ann", at=log.head().at, events=(draining,))])
    assert "! pausing: waiting for 1 person at work" in answer("status")
    assert "pausing: waiting for 1 person at work (for the night)" in answer("blockers")
    assert "completes by itself" not in answer("blockers")
    assert json.loads(answer("runs", "--json"))["runs"][0]["pausing"] == "pausing: waiting for 1 person at work"


def test_payments_and_their_authors_are_in_the_timeline(data: Path) -> None:
    answer("review", "--approve", "agent-1", "--as", "ann")
    answer("pay", "--yes", "--as", "bob")
    for subject in ("agent-1", "unit-1", "worker-1", "run-1"):
        said = answer("timeline", subject)
        assert "payment/1/1  0.25 owed to worker-1 as pay for unit-1 (by ann) -> owed" in said
        assert "payment/1/1  requesting payment from the provider (by bob)" in said
    assert "payment/1/1" not in answer("timeline", "agent-2")
    (payment,) = json.loads(answer("ledger", "--json"))["ledger"]["payments"]
    assert (payment["owed_by"], payment["paid_by"]) == ("user/ann", "user/bob")


def test_a_folder_that_looks_like_an_id_is_a_folder(data: Path) -> None:
    data.rename(data.with_name("run1"))
    assert "run-1" in answer("status", "run1")
