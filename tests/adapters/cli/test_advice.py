"""Commands that messages advise name the database that the user named."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
import trio

from mephisto_es.adapters.advice import DATABASE_VERBS, advised, log_lines_naming, remember_database
from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.cli.common.arguments import DatabaseType
from mephisto_es.core.operations.logger_core import get_logger


def _takes_database(verb: click.Command) -> bool:
    arguments = [param for param in verb.params if isinstance(param, click.Argument)]
    return bool(arguments) and isinstance(arguments[0].type, DatabaseType)


def test_every_verb_with_a_database_is_known() -> None:
    group = command.main
    ctx = click.Context(group)
    taking = set[str]()
    for name in group.list_commands(ctx):
        verb = group.get_command(ctx, name)
        assert verb is not None
        inner = {f"{name} {each}": one for each, one in verb.commands.items()} if isinstance(verb, click.Group) else {}
        taking |= {each for each, one in (inner or {name: verb}).items() if _takes_database(one)}
    assert taking == DATABASE_VERBS


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("run `mephisto-es resume`", "run `mephisto-es resume 'my data'`"),
        ("`mephisto-es review 1 --undo agent-1`", "`mephisto-es review 'my data' 1 --undo agent-1`"),
        ("`mephisto-es projections rebuild`", "`mephisto-es projections 'my data' rebuild`"),
        ("`mephisto-es resources release`", "`mephisto-es resources release 'my data'`"),
        ("`mephisto-es verify /data/mephisto.db` and mephisto-es pay", "`mephisto-es verify /data/mephisto.db` and"),
        ("mephisto-es register mock", "mephisto-es register mock"),
        ("mephisto-es check-config", "mephisto-es check-config"),
    ],
)
def test_the_database_follows_the_verb(message: str, expected: str) -> None:
    ctx = click.Context(command.main)
    assert advised(message, ctx) == message
    remember_database(ctx, "my data")
    assert advised(message, ctx).startswith(expected)


async def test_commands_in_log_lines_name_a_log_that_is_not_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    logger = get_logger("test")

    async def log_in(nursery: trio.Nursery, folder: str) -> None:
        async with log_lines_naming(tmp_path / folder / "mephisto.db"):
            nursery.start_soon(trio.to_thread.run_sync, logger.warning, "ask again with `mephisto-es retry 1`")

    async with trio.open_nursery() as nursery:
        await log_in(nursery, "a study")
    assert f"ask again with `mephisto-es retry '{tmp_path}/a study' 1`" in capsys.readouterr().err
    async with trio.open_nursery() as nursery:
        await log_in(nursery, "mephisto_data")
    assert "ask again with `mephisto-es retry 1`" in capsys.readouterr().err
