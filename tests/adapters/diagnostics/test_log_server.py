"""The check says what the server of the log would lose of what it has acknowledged."""

from __future__ import annotations

import psycopg
import pytest

from mephisto_es.adapters.composition.log_choice import LOG_VARIABLE
from mephisto_es.adapters.diagnostics.checks import CheckResult, CheckState, check_all
from mephisto_es.adapters.log.postgres.promises import judge_settings

from ...postgres import Cluster

SAFE = {
    "fsync": "on",
    "full_page_writes": "on",
    "server_version_num": "160004",
    "synchronous_commit": "on",
    "synchronous_standby_names": "",
}


@pytest.mark.parametrize(
    ("changed", "loss"),
    [
        ({}, ""),
        ({"fsync": "off"}, "fsync is off: a power cut"),
        ({"full_page_writes": "off"}, "full_page_writes is off: a power cut"),
        ({"synchronous_commit": "off"}, "synchronous_commit is off: a crash"),
        ({"synchronous_commit": "local"}, ""),
        ({"synchronous_commit": "local", "synchronous_standby_names": "ANY 1 (a, b)"}, "a failover loses"),
        ({"synchronous_commit": "remote_apply", "synchronous_standby_names": "ANY 1 (a, b)"}, ""),
    ],
)
def test_every_setting_that_loses_work_is_named(changed: dict[str, str], loss: str) -> None:
    promise = judge_settings("PostgreSQL", {**SAFE, **changed})
    assert [loss in found for found in promise.losses] == ([True] if loss else [])
    assert promise.notes[0] == "version 16"
    assert ("no synchronous standby" in promise.notes[1]) is ("synchronous_standby_names" not in changed)


def check_of_server() -> list[CheckResult]:
    return [result for result in check_all() if result.what == "log server"]


def test_the_server_is_checked_if_there_is_one(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_of_server() == []
    address = cluster.new_database()
    monkeypatch.setenv(LOG_VARIABLE, address)
    (found,) = check_of_server()
    # The tests' own server is of that kind.
    assert (found.state, "fsync is off" in found.text) == (CheckState.WRONG, True)
    with psycopg.connect(address) as db:
        assert db.execute("SELECT to_regnamespace('es')").fetchone() == (None,), "it only looks"


@pytest.mark.parametrize("address", ["postgresql://ada:hunter2@/x?host=/nowhere", "nonsense hunter2"])
def test_a_server_that_cannot_be_used_is_named_without_its_secrets(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LOG_VARIABLE, address)
    (found,) = check_of_server()
    assert found.state is CheckState.WRONG
    assert "hunter2" not in f"{found}"
