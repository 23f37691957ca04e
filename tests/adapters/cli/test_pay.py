"""Paying from the terminal: what is shown, what is asked, and what a crash leaves."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.control.client import open_control
from mephisto_es.adapters.control.reviews import record_verdicts
from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.sqlite.as_of import open_as_of
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.providers.payment_book import BOOK_FILE, PaymentBook
from mephisto_es.core.commands.review import Verdict
from mephisto_es.core.operations.control.requests import PayRequest, VerdictRequest
from mephisto_es.events.ids import AgentId, PaymentId, TaskRunId
from mephisto_es.projections.queries.money.pay_ledger import pay_ledger
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import PAY_CENTS, sample_history, submitted_history

BONUS_CENTS = 10
#: Agents whose work is approved; another gave its unit back.
APPROVED = ("agent-1", "agent-2", "agent-3", "agent-6")
OWED_CENTS = len(APPROVED) * (PAY_CENTS + BONUS_CENTS)

#: Pays, and is killed at the third order: before the provider has heard of it, or before its answer is recorded.
_KILLED = """
import os, signal, sys
from mephisto_es.adapters.cli.main import main
from mephisto_es.adapters.providers.payment_book import PaymentBook

moment, database = sys.argv[1:]
orders, pay_all = [], PaymentBook.pay_all

def pay_or_die(book, batch):
    orders.extend(batch)
    if len(orders) >= 3 and moment == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    outcomes = pay_all(book, batch)
    if len(orders) >= 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return outcomes

PaymentBook.pay_all = pay_or_die
main(["pay", database, "1", "--yes"])
"""


@pytest.fixture(scope="module")
def approved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a run with approved work."""
    path = tmp_path_factory.mktemp("approved") / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(sample_history())
    chosen = [word for agent in APPROVED for word in ("--approve", agent)]
    assert ask("review", path, 1, *chosen, "--bonus", "0.10").exit_code == 0
    return path


@pytest.fixture
def database(approved: Path, tmp_path: Path) -> Path:
    """Copy the log into another data folder."""
    return Path(shutil.copy(approved, tmp_path))


def ask(*words: str | Path | int, said: str | None = None) -> Result:
    return CliRunner().invoke(command.main, list(map(str, words)), input=said)


def cents(database: Path) -> dict[str, int]:
    told: dict[str, int] = json.loads(ask("ledger", database, 1, "--json").stdout)["ledger"]["cents"]
    return told


def head(database: Path) -> int:
    with closing(sqlite3.connect(database)) as db:
        return int(db.execute("SELECT max(seq) FROM events").fetchone()[0])


def test_it_pays_what_it_says_when_it_may(database: Path) -> None:
    assert cents(database) == {"owed": OWED_CENTS}
    result = ask("pay", database, 1, said="y\n")
    assert result.exit_code == 0, result.output
    assert "all 8 1.00 0.40 1.40" in " ".join(result.stdout.split())
    assert "Pay this? [y/N]: y" in result.stdout
    assert result.stdout.splitlines()[-1] == "1.40 confirmed, 0.00 sent"
    assert cents(database) == {"confirmed": OWED_CENTS}
    assert PaymentBook(database.parent / BOOK_FILE).total_cents() == OWED_CENTS
    assert ask("ledger", database, 1, "verify").exit_code == 0
    assert replay(database, PROJECTIONS).legal
    again = ask("pay", database, 1, "--yes")
    assert "run-1 has paid everything it owes" in again.stdout
    assert again.stdout.splitlines()[-1] == "0.00 confirmed now (1.40 in all), 0.00 sent"
    assert PaymentBook(database.parent / BOOK_FILE).total_cents() == OWED_CENTS


@pytest.mark.parametrize(
    ("options", "said", "exit_code"), [([], "n\n", 1), ([], "", 1), (["--dry-run"], None, 0), (["--json"], None, 0)]
)
def test_it_pays_nothing_when_it_may_not(options: list[str], said: str | None, exit_code: int, database: Path) -> None:
    before = head(database)
    result = ask("pay", database, 1, *options, said=said)
    assert result.exit_code == exit_code, result.output
    assert head(database) == before
    assert not (database.parent / BOOK_FILE).exists()


def test_programs_are_told_in_cents(database: Path) -> None:
    shown = json.loads(ask("pay", database, 1, "--json").stdout)
    assert (shown["paid"], sum(one["amount_cents"] for one in shown["to_pay"])) == (False, OWED_CENTS)
    paid = json.loads(ask("pay", database, 1, "--json", "--yes").stdout)
    assert (paid["paid"], paid["to_pay"], paid["ledger"]["cents"]) == (True, [], {"confirmed": OWED_CENTS})


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_between_intent_and_outcome_it_pays_once(moment: str, database: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, moment, str(database)], check=False, capture_output=True, timeout=120
    )
    assert killed.returncode == -signal.SIGKILL
    left = cents(database)
    assert left["requested"] >= BONUS_CENTS
    assert sum(left[status] for status in ("requested", "sent", "owed") if status in left) == OWED_CENTS
    assert ask("pay", database, 1, "--yes").exit_code == 0
    assert cents(database) == {"confirmed": OWED_CENTS}
    assert PaymentBook(database.parent / BOOK_FILE).total_cents() == OWED_CENTS
    assert ask("ledger", database, 1, "verify").exit_code == 0


def test_what_the_provider_does_not_take_is_named_and_may_be_tried_again(database: Path) -> None:
    (database.parent / BOOK_FILE).mkdir()
    result = ask("pay", database, 1, "--yes")
    assert result.exit_code == 1
    names = ", ".join(f"payment-{number}" for number in range(1, 9))
    assert f"✗ {names}: the book of payments" in result.stdout
    assert "payment-1 worker-1 (Zoë 1) pay, agent-1 0.25 failed" in " ".join(result.stdout.split())
    shown = ask("ledger", database, 1).stdout
    assert f"✗ {names}: the book of payments" in shown
    assert "mephisto-es pay" in shown.splitlines()[-1]
    assert "--settle PAYMENT paid" in shown.splitlines()[-1]
    assert cents(database) == {"failed": OWED_CENTS}
    (database.parent / BOOK_FILE).rmdir()
    assert ask("pay", database, 1, "--yes").exit_code == 0
    assert cents(database) == {"confirmed": OWED_CENTS}
    assert "payment-1" not in ask("ledger", database, 1).stdout
    assert "payment-8" in ask("ledger", database, 1, "--payments").stdout


def test_what_is_paid_by_other_means_is_settled_by_a_person(database: Path) -> None:
    (payment, *_) = json.loads(ask("ledger", database, 1, "--json").stdout)["ledger"]["payments"]
    settled = ask("pay", database, 1, "--settle", f"payment-{payment['payment']}", "paid", "--reason", "in cash")
    assert settled.exit_code == 0, settled.output
    assert settled.stdout.strip() == f"payment-{payment['payment']} is recorded as paid by other means"
    assert cents(database)["confirmed"] == payment["amount_cents"]
    how = f"payment-{payment['payment']}: paid by other means, as "
    shown = ask("ledger", database, 1)
    assert next(line for line in shown.stdout.splitlines() if line.startswith(how)).endswith("recorded: in cash")
    assert "in cash" not in ask("ledger", database, 1, "--pseudonyms").stdout
    assert "in cash" not in ask("ledger", database, 1, "--pseudonyms", "--json").stdout
    history = ask("timeline", database, f"payment-{payment['payment']}").stdout
    assert "paid, as a person has decided, by other means (`mephisto-es ledger` has the reason)" in history
    again = ask("pay", database, 1, "--settle", f"payment-{payment['payment']}", "unpaid")
    assert again.exit_code != 0
    assert "was settled as paid; say why it is not, with --reason" in again.stderr
    assert ask("pay", database, 1, "--settle", "payment-4711", "paid").exit_code != 0
    assert ask("pay", database, 1, "--yes").exit_code == 0
    assert PaymentBook(database.parent / BOOK_FILE).total_cents() == OWED_CENTS - payment["amount_cents"]
    assert ask("ledger", database, 1, "verify").exit_code == 0


def test_a_wrong_decision_is_said_and_corrected(database: Path) -> None:
    def settle(*words: str) -> Result:
        return ask("pay", database, 1, "--settle", "payment-1", *words)

    unpaid = settle("unpaid")
    assert (unpaid.exit_code, unpaid.stdout) == (0, "payment-1 is not paid (owed). Nothing was recorded\n")
    assert settle("unpaid", "--at-site").exit_code == 2
    assert settle("paid").stdout == "payment-1 is recorded as paid by other means\n"
    before = head(database)
    again = settle("paid")
    assert (again.exit_code, head(database)) == (0, before)
    assert again.stdout.startswith("payment-1 was settled before: paid by other means, as ")
    assert again.stdout.endswith(" UTC. Nothing was recorded\n")
    corrected = "payment-1 is recorded as paid {}; before, it was settled as paid by other means\n"
    assert settle("paid", "--reason", "gift card").stdout == corrected.format("by other means")
    assert "gift card. Nothing was recorded" in settle("paid", "--elsewhere", "--reason", "gift card").stdout
    assert settle("paid", "--at-site", "--reason", "seen there").stdout == corrected.format("at the site")
    assert "payment-1: paid at the site, as " in ask("ledger", database, 1).stdout
    back = settle("unpaid", "--reason", "it was another worker")
    assert back.stdout == "payment-1 is recorded as not paid; before, it was settled as paid at the site\n"
    assert ask("pay", database, 1, "--yes").exit_code == 0
    assert PaymentBook(database.parent / BOOK_FILE).total_cents() == OWED_CENTS
    confirmed = settle("paid", "--elsewhere")
    assert (confirmed.exit_code, "was confirmed by the provider at" in confirmed.stdout) == (1, True)
    assert settle("paid").exit_code == 0
    assert "is 'confirmed' by the provider" in settle("unpaid", "--reason", "never").stderr
    assert ask("ledger", database, 1, "verify").exit_code == 0
    assert replay(database, PROJECTIONS).legal


@pytest.mark.parametrize("words", [["--at-site"], ["--reason", "x"], ["--settle-file", "f.csv", "--reason", "x"]])
def test_options_of_a_decision_need_one(words: list[str], database: Path) -> None:
    assert ask("pay", database, 1, *words).exit_code == 2


def test_the_history_of_one_payment_is_shown(database: Path) -> None:
    assert ask("pay", database, 1, "--yes").exit_code == 0
    lines = ask("timeline", database, "payment-2").stdout.splitlines()
    assert {line.split()[2] for line in lines} == {"payment/1/2"}
    assert lines[-1].endswith("-> confirmed")
    for name in ("payment-4711", "resource-4711"):
        unknown = ask("timeline", database, name)
        assert unknown.exit_code == 1
        assert f"there is no {name}" in unknown.stderr
    # A number alone is an entity.
    assert "payment" not in ask("timeline", database, "8").stderr
    assert "is not an id that fits here" in ask("explain", database, "payment-2").stderr


def test_a_run_that_is_not_there(database: Path) -> None:
    result = ask("pay", database, 7)
    assert result.exit_code == 1
    assert result.stderr == "mephisto-es pay: there is no run-7; the nearest is run-1\n"


def test_help_shows_examples() -> None:
    assert "mephisto-es pay mephisto_data 1 --dry-run" in ask("pay", "--help").stdout


async def test_payments_of_many_workers_are_made_together_and_counted(tmp_path: Path) -> None:
    database = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(database, PROJECTIONS) as log:
        log.commit(submitted_history(30, 10))
    verdicts = [VerdictRequest(agent=AgentId(agent), verdict=Verdict.APPROVED) for agent in range(1, 31)]
    assert (await record_verdicts(database, "user/ann", verdicts)).recorded == 30
    with open_as_of(database) as moment:
        owed = tuple(PaymentId(one.payment) for one in pay_ledger(moment, TaskRunId(1)).payments)
    async with open_control(database, "user/ann") as control:
        assert (await control.execute(PayRequest(task_run=TaskRunId(1), payments=owed))).paid == 30
        assert (await control.execute(PayRequest(task_run=TaskRunId(1), payments=owed))).paid == 0
    assert PaymentBook(tmp_path / BOOK_FILE).total_cents() == 30 * PAY_CENTS
    assert replay(database, PROJECTIONS).legal
