"""Text from strangers reaches no terminal and no spreadsheet as it is, whichever verb prints it."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from pathlib import Path
from random import Random

import msgspec
import pytest
from click.testing import CliRunner, Result

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.cli.main import VERBS
from mephisto_es.adapters.exports.text_formats import spreadsheet_text
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.terminal import echo, make_console
from mephisto_es.core.errors import CommandRefusedError
from mephisto_es.core.lifecycles.unit import UnitStatus
from mephisto_es.events.base import PayloadRef
from mephisto_es.events.ids import WorkerId
from mephisto_es.projections.registry import PROJECTIONS

from ...history_generator import HistoryGenerator
from ...history_search import SEEDS

#: Sets the title, recolours, overwrites the line, reverses the direction, and is a formula for a spreadsheet.
HOSTILE = '=HYPERLINK("x")\x1b]0;owned\x07\x1b[31m\x9b2J\rpaid\x08\x7f\u202e\u2028\u0085+1'
#: What a terminal must never get from us; line ends and tabs come from our tables.
DANGEROUS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")

#: How each verb that reads a log is asked; `{out}` is a new file, `{kept}` a file of lines that are no anchors.
ASKED: dict[str, list[str]] = {
    "adjudicate": ["{run}", "{run} --json"],
    "backup": ["-o {out}", "-o {out} --json"],
    "blockers": ["{run}", "{run} --json"],
    "bundle": ["{run} -o {out}"],
    "diff": ["2 400", "2 400 --json"],
    "doctor": ["-o {out}", "-o {out} --json"],
    "erase": ["{worker} --reason why", "{worker} --reason why --json"],
    "explain": ["{worker}", "{agent}", "{worker} --json", "{agent} --json"],
    "export": ["{run}", "{run} --format csv"],
    "ledger": ["{run}", "{run} --json", "{run} verify"],
    "pause": ["{run}"],
    "pay": ["{run} --yes", "{run} --json --yes"],
    "projections": ["list", "rebuild", "list --json"],
    "reopen": ["{run}"],
    "replay": ["", "--json"],
    "requesters": ["", "--json"],
    "resources": ["list", "list --json"],
    "retry": ["{run}"],
    "review": ["{run}", "{run} --json", "{run} --late", "{run} --late --json", "{run} --approve-all --note {hostile}"],
    "runs": ["", "--json"],
    "show": ["", *(f"--table {table}" for table in ("workers", "units", "agents", "tasks", "task_runs")), "--json"],
    "files": ["{run}", "{run} --json"],
    "seal": ["{run}", "{run} --json"],
    "tail": ["--from 1 --no-follow", "--from 1 --no-follow --json"],
    "status": ["{run}", "{run} --json"],
    "timeline": ["{run}", "{worker}", "{agent}", "{agent} --json"],
    "top": ["{run} --speed 100000"],
    "verify": ["", "--json", "--kept {kept}"],
    "worker": ["{worker} --block {hostile}", "{worker} --bonus 1 --reason {hostile}"],
}
#: Verbs that print nothing that anybody else wrote, or that start servers.
OURS = {
    "check",
    "config",
    "demo",
    "end",
    "fake",
    "import-mephisto",
    "plugins",
    "register",
    "resume",
    "serve",
    "torture",
    "wut",
}


class HostileHistory(HistoryGenerator):
    """A generator whose people, answers and plugins write nothing else."""

    def _json(self, value: object, subject: WorkerId | None = None) -> PayloadRef:
        plain = msgspec.json.decode(msgspec.json.encode(value))
        hostile = {HOSTILE: HOSTILE}
        return self._seal(
            msgspec.json.encode(plain | hostile if isinstance(plain, dict) else [plain, hostile]), subject
        )

    def _text(self, text: str, subject: WorkerId) -> PayloadRef:
        return self._seal(f"{HOSTILE} {self._next()}".encode(), subject)

    def _made_up(self, wanted: object, subject: WorkerId | None) -> object:
        value = super()._made_up(wanted, subject)
        return f"{HOSTILE} {value}" if isinstance(value, str) and value.startswith("text ") else value


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / "mephisto.db"
    for seed in range(SEEDS):
        generator = HostileHistory(Random(seed))
        generator.begin()
        generator.write(400)
        if any(unit.status is UnitStatus.COMPLETED for unit in generator.state.units.values()):
            break
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(generator.requests)
    return path.parent


@pytest.fixture
def folder(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(tmp_path / "config.yml"))
    return shutil.copytree(written, tmp_path / "data")


def ask(*words: str) -> Result:
    return CliRunner().invoke(command.main, words)


def ids_of(folder: Path, table: str, column: str) -> list[int]:
    rows = json.loads(ask("show", str(folder), "--table", table, "--json").stdout)["tables"][table]
    return [row[column] for row in rows]


@pytest.fixture(scope="module")
def subjects(written: Path) -> dict[str, str]:
    """An entity of each kind, by which verbs are asked about it."""
    columns = {"run": ("task_runs", "task_run_id"), "worker": ("workers", "worker_id"), "agent": ("agents", "agent_id")}
    return {kind: f"{kind}-{ids_of(written, *column)[0]}" for kind, column in columns.items()}


@pytest.mark.parametrize("verb", sorted(ASKED))
def test_a_verb_prints_nothing_that_acts_on_a_terminal(verb: str, folder: Path, subjects: dict[str, str]) -> None:
    kept = folder / "kept"
    kept.write_text(HOSTILE)
    values = {**subjects, "kept": str(kept), "hostile": HOSTILE.replace(" ", "")}
    for number, asked in enumerate(ASKED[verb]):
        words = asked.split()
        action = words.pop(0) if verb == "resources" else None
        arguments = [word.format(**values, out=folder / f"out-{number}") for word in words]
        result = ask(verb, *([action] if action else []), str(folder), *arguments)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        text = result.stdout + result.stderr
        assert text, f"{verb} {asked} prints nothing"
        assert DANGEROUS.findall(text) == [], f"{verb} {asked}"
        if arguments[-1:] == ["--json"] and result.exit_code == 0 and verb not in ("top", "tail"):
            json.loads(result.stdout)


def test_verbs_that_are_asked_exist() -> None:
    assert ASKED.keys() | OURS <= VERBS.keys()
    assert not ASKED.keys() & OURS


def test_json_holds_the_same_text(folder: Path) -> None:
    rows = json.loads(ask("show", str(folder), "--table", "workers", "--json").stdout)["tables"]["workers"]
    assert all(row["worker_name"].startswith(HOSTILE) for row in rows if row["worker_name"] is not None)
    runs = map(str, ids_of(folder, "task_runs", "task_run_id"))
    lines = [line for run in runs for line in ask("export", str(folder), run).stdout.split("\n") if line]
    assert any((json.loads(line)["outputs"] or {}).get(HOSTILE) == HOSTILE for line in lines)


def test_an_error_that_quotes_a_stranger_is_printable() -> None:
    @command.main.command("say-no")
    def say_no() -> None:
        raise CommandRefusedError(HOSTILE)

    try:
        result = ask("say-no")
    finally:
        del command.main.commands["say-no"]
    assert result.exit_code == 1
    assert result.stderr == "mephisto-es say-no: " + escaped(HOSTILE) + "\n"


def escaped(text: str) -> str:
    return DANGEROUS.sub(lambda found: repr(found[0])[1:-1], text)


def test_a_table_of_text_is_printable_and_keeps_its_colours() -> None:
    screen = io.StringIO()
    make_console(file=screen).print(f"[bold]{HOSTILE}[/]", markup=True)
    # Some are left out by the library that makes the tables.
    assert screen.getvalue() == escaped(re.sub("[\a\b\r]", "", HOSTILE)) + "\n"
    echo_into = CliRunner()
    with echo_into.isolation() as streams:
        echo(HOSTILE)
        assert streams[0].getvalue().decode() == f"{escaped(HOSTILE)}\n"


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+49 30 1", "'+49 30 1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-2+3", "'-2+3"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\\r=1"),
        ("-2.5e3", "-2.5e3"),
        ("plain = text", "plain = text"),
        ("two\nlines", "two\nlines"),
        ("\x1b[31m", "\\x1b[31m"),
    ],
)
def test_a_cell_is_no_formula(text: str, cell: str) -> None:
    assert spreadsheet_text(text) == cell


def test_names_in_an_export_are_no_formulas(folder: Path) -> None:
    runs = map(str, ids_of(folder, "task_runs", "task_run_id"))
    exports = [ask("export", str(folder), run, "--format", "csv").stdout for run in runs]
    rows = [row for exported in exports for row in csv.DictReader(io.StringIO(exported))]
    assert {row["worker_name"][:15] for row in rows if row["worker_name"]} == {'\'=HYPERLINK("x"'}
