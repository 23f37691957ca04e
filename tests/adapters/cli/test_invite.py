"""Invitations and codes of a run with links, and payments that are made by other means."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.log.sqlite.reader import LogReader
from mephisto_es.adapters.providers.link.provider import completion_codes, invitation_signer
from mephisto_es.core.ports import AppendRequest, NewEvent
from mephisto_es.events.ids import TaskRunId
from mephisto_es.events.task_run import TaskRunCreated
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import sample_history

RUN = TaskRunId(1)


def with_links(history: Sequence[AppendRequest], config: str) -> list[AppendRequest]:
    """The history of a run whose workers come through links."""

    def changed(new: NewEvent) -> NewEvent:
        if not isinstance(new.event, TaskRunCreated):
            return new
        return new._replace(event=replace(new.event, provider_type="link", config=config))

    return [replace(request, events=tuple(map(changed, request.events))) for request in history]


def log_with(tmp_path: Path, *, invitations_only: bool) -> Path:
    path = tmp_path / "mephisto.db"
    stored = json.dumps({"provider": {"invitations_only": invitations_only, "completion_code": True}})
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(with_links(sample_history(), stored))
    return path


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return log_with(tmp_path, invitations_only=True)


def run(*words: str | Path | int, stdin: str = "") -> Result:
    return CliRunner().invoke(command.main, [*map(str, words)], input=stdin)


def test_everybody_gets_an_address_of_their_own(database: Path) -> None:
    printed = run("invite", database, 1, "-", "--days", 1, stdin="\ufeffann\n\n=2+5\nann\n").stdout
    rows = list(csv.reader(printed.splitlines()))
    assert [row[0] for row in rows] == ["participant", "ann", "'=2+5"]
    with LogReader(database) as log:
        signer = invitation_signer(log.pseudonym_key, RUN)
    assert rows[1][1].startswith("http://localhost:3000/?invitation=")
    [invitation] = parse_qs(urlsplit(rows[1][1]).query)["invitation"]
    first = signer.read(invitation, 0)
    assert (first.participant, first.run) == ("ann", 1)
    again = run("invite", database, 1, "-", "--server", "https://tasks.example", stdin="ann").stdout
    [second] = parse_qs(urlsplit(again.splitlines()[1].partition(",")[2]).query)["invitation"]
    assert signer.read(second, 0).serial == first.serial
    assert "https://tasks.example/?invitation=" in again


@pytest.mark.parametrize(("stdin", "problem"), [("a\tb", "printable characters"), ("x" * 201, "1 to 200")])
def test_ids_that_cannot_be_meant(database: Path, stdin: str, problem: str) -> None:
    refused = run("invite", database, 1, "-", stdin=stdin)
    assert refused.exit_code == 2
    assert problem in refused.output


def test_a_run_that_lets_everybody_in_has_no_invitations(tmp_path: Path) -> None:
    refused = run("invite", log_with(tmp_path, invitations_only=False), 1, "-", stdin="ann")
    assert refused.exit_code == 2
    assert "run-1 lets everybody in, with or without an invitation" in refused.output


def test_a_run_of_another_provider_has_neither(tmp_path: Path) -> None:
    path = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(sample_history())
    for verb, *rest in (("invite", "-"), ("codes",)):
        refused = run(verb, path, 1, *rest)
        assert (refused.exit_code, "the workers of run-1 come from mock" in refused.output) == (2, True)


def test_codes_are_listed_for_whoever_is_done(database: Path) -> None:
    rows = list(csv.reader(run("codes", database, 1).stdout.splitlines()))
    assert rows[0] == ["participant", "code", "agent", "status"]
    with LogReader(database) as log:
        codes = completion_codes(log.pseudonym_key, RUN)
    assert rows[1] == ["Zoë 1", codes.code("Zoë 1"), "agent-1", "completed"]
    assert len(rows) == 31


def test_payments_made_by_other_means_are_recorded_from_a_file(database: Path, tmp_path: Path) -> None:
    run("review", database, 1, "--approve", "agent-1", "--approve", "agent-2")
    refused = run("pay", database, 1, "--yes")
    assert refused.exit_code == 2
    assert "run-1 has its workers from 'link', which cannot pay them" in refused.output
    listed = tmp_path / "to pay.csv"
    assert "worker-1" in run("pay", database, 1, "--list", listed).stdout
    rows = list(csv.DictReader(listed.read_text().splitlines()))
    assert [(row["status"], row["amount"], row["participant"]) for row in rows] == [
        ("unpaid", "0.25", "Zoë 1"),
        ("unpaid", "0.25", "Zoë 2"),
    ]
    assert "File exists" in run("pay", database, 1, "--list", listed).output
    names = [row["payment"] for row in rows]
    file = tmp_path / "transfers.csv"

    def settle(text: str) -> Result:
        file.write_text(text, encoding="utf-8")
        return run("pay", database, 1, "--settle-file", file)

    head = "payment,status,amount,reason\n"
    for wrong, problem in (
        (f"{names[0]},paid,0.26,\n", f"{names[0]} is 0.25"),
        ("payment-99999,paid,,\n", "'payment-99999' is not a payment of this run"),
        (f"{names[0]},sent,,\n", "the status is 'sent'"),
        (f"{names[0]},paid,,\n{names[0]},unpaid,,\n", f"{names[0]} is decided twice"),
    ):
        refused = settle(head + wrong)
        assert (refused.exit_code, problem in refused.output) == (2, True), refused.output
    for text, problem in (
        ("payment;state\n", "transfers.csv has no line with a payment, so nothing was recorded"),
        (f"payment;state\n{names[0]};paid\n", "transfers.csv: the column 'status' is missing"),
    ):
        refused = settle(text)
        assert (refused.exit_code, problem in refused.output) == (2, True), refused.output
    good = f"{head}{names[0]},paid,0.25,transfer 17\n{names[1].removeprefix('payment-')},Paid,,\n"
    assert settle(good).stdout == f"{names[0]} is recorded as paid by other means\n" + (
        f"{names[1]} is recorded as paid by other means\n"
    )
    assert settle(good).stdout.count("Nothing was recorded") == 2
    assert json.loads(run("pay", database, 1, "--dry-run", "--json").stdout)["ledger"]["cents"] == {"confirmed": 50}
