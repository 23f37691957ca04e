"""Implements `mephisto-es invite` and `mephisto-es codes`: personal links, and codes of those who are done."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import click
import msgspec

from ...core.entity_ref import EntityRef
from ...core.errors import ConfigError
from ...core.lifecycles.agent import SUBMITTED_STATUSES
from ...core.payloads import pseudonym
from ...events.ids import TaskRunId
from ...projections.mephisto_db.rows import TaskRunRow
from ..composition.clock_and_ids import SystemClock
from ..log.sqlite.as_of import LogAsOf, open_as_of
from ..providers.link.provider import LINK, completion_codes, invitation_signer, invitation_url
from .common.arguments import LogCommand, log_argument, run_argument
from .common.settlements import spreadsheet_cell

DAY_SECONDS = 24 * 3600
MAX_DAYS = 366
#: The longest id of a person, and the number of invitations that are made at once.
MAX_ID_LENGTH = 200
MAX_PEOPLE = 100_000
SERIAL_LENGTH = 16

_DONE = f"""
    SELECT worker_name, agent_id, agents.status FROM agents JOIN workers USING (worker_id)
    WHERE task_run_id = ? AND agents.status IN ({", ".join("?" * len(SUBMITTED_STATUSES))})
    AND worker_name IS NOT NULL ORDER BY agent_id
"""


@click.command("invite", cls=LogCommand)
@log_argument
@run_argument
@click.argument("people", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option(
    "--days",
    default=14,
    show_default=True,
    type=click.IntRange(1, MAX_DAYS),
    help="Days for which the invitations are valid.",
)
@click.option("--server", metavar="URL", help="Address of the server, if people reach it by another one.")
def invite_command(database: Path, run: EntityRef, people: Path, days: int, server: str | None) -> None:
    """Print a personal address for each of PEOPLE, a file with one id in each line (`-`: standard input).

    RUN needs `mephisto/provider=link` and `mephisto.provider.invitations_only=true`. An invitation is for one person,
    and works in the browser that opens it first. Inviting somebody again gives an address of the same invitation with
    a new date, so nobody gets in twice. The output is CSV with the columns participant and address; it is secret.

    \b
    Examples:
      mephisto-es invite mephisto_data 1 class.txt > addresses.csv
    """
    lines = _lines_of(people)
    number = TaskRunId(run.number)
    with open_as_of(database) as moment:
        row, key = _link_run(moment, number), moment.pseudonym_key
    url = server or row.server_url
    if not url:
        raise ConfigError(f"run-{number} has no server yet", key="--server", hint="Launch it first, or give --server")
    if not _ProviderConfig.of(row.init_params).invitations_only:
        raise ConfigError(
            f"run-{number} lets everybody in, with or without an invitation",
            key="mephisto.provider.invitations_only",
            hint="Launch a run with mephisto.provider.invitations_only=true",
        )
    signer = invitation_signer(key, number)
    expires = SystemClock().now_us() // 1_000_000 + days * DAY_SECONDS
    _write_csv(
        ("participant", "address"),
        (
            (person, invitation_url(url, signer.issue(person, _serial(key, number, person), expires)))
            for person in read_people(lines)
        ),
    )


@click.command("codes", cls=LogCommand)
@log_argument
@run_argument
def codes_command(database: Path, run: EntityRef) -> None:
    """Print the completion code of each person who has submitted work in RUN, to compare with those that people send.

    RUN needs `mephisto/provider=link` and `mephisto.provider.completion_code=true`. The output is CSV with the columns
    participant, code, agent and status.
    """
    number = TaskRunId(run.number)
    with open_as_of(database) as moment:
        _link_run(moment, number)
        codes = completion_codes(moment.pseudonym_key, number)
        values = (number, *(status.value for status in SUBMITTED_STATUSES))
        done = moment.db.execute(_DONE, values).fetchall()
    rows = ((name, codes.code(name), f"agent-{agent}", status) for name, agent, status in done)
    _write_csv(("participant", "code", "agent", "status"), rows)


class _ProviderConfig(msgspec.Struct):
    """The part of a run's configuration that matters here."""

    invitations_only: bool = False

    @staticmethod
    def of(config: str) -> _ProviderConfig:
        """Return the settings of the provider in a run's configuration."""
        return msgspec.json.decode(config, type=_LinkConfig).provider


class _LinkConfig(msgspec.Struct):
    provider: _ProviderConfig = msgspec.field(default_factory=_ProviderConfig)


def _lines_of(file: Path) -> list[str]:
    """Return the lines of a file, or of the standard input for `-`.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        with click.open_file(str(file), encoding="utf-8") as lines:
            return list(lines)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}", key="PEOPLE") from error


def read_people(lines: Iterable[str]) -> list[str]:
    """Return the ids in a file, each once.

    Raises:
        ConfigError: one is too long or not printable, or there are too many.
    """
    people = dict.fromkeys(line.strip("\ufeff").strip() for line in lines if line.strip("\ufeff").strip())
    for person in people:
        if len(person) > MAX_ID_LENGTH or not person.isprintable():
            raise ConfigError(
                f"an id has 1 to {MAX_ID_LENGTH} printable characters", key="PEOPLE", hint="Write one id in each line"
            )
    if len(people) > MAX_PEOPLE:
        raise ConfigError(f"{len(people):,} people are more than {MAX_PEOPLE:,}", key="PEOPLE")
    return list(people)


def _link_run(moment: LogAsOf, run: TaskRunId) -> TaskRunRow:
    """Return a run with links.

    Raises:
        UnknownEntityError: there is no such run.
        ConfigError: its workers come from elsewhere.
    """
    row = moment.db.get_task_run(run)
    if row.provider_type != LINK:
        raise ConfigError(
            f"the workers of run-{run} come from {row.provider_type}", key="RUN", hint=f"This is for {LINK}"
        )
    return row


def _serial(key: bytes, run: TaskRunId, person: str) -> str:
    return pseudonym(key, "invitation serial", f"{run}/{person}")[:SERIAL_LENGTH]


def _write_csv(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([spreadsheet_cell(cell) for cell in row] for row in rows)
