"""Commands that messages advise can be typed as they are, but for the words in capital letters."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mephisto_es.adapters.advice import with_database
from mephisto_es.adapters.cli import main as command

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("core", "adapters", "projections")
#: A command in a message; one without quotes ends with the sentence.
QUOTED = re.compile(r"`mephisto-es ([a-z][^`]*)`")
#: Arguments that a verb can find by itself.
FOUND_BY_VERB = frozenset({"database", "run"})
#: A value stands for whatever the message puts there.
VALUE = "1"


def texts_of(tree: ast.AST) -> Iterator[str]:
    """Yield the texts in a module that may be shown, with `VALUE` for what is put in; docstrings are left out."""
    hidden: set[ast.AST] = {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    hidden |= {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield _filled(node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in hidden:
            yield re.sub(r"\{\w*\}", VALUE, node.value)


def _filled(node: ast.JoinedStr) -> str:
    text = ""
    for one in node.values:
        if isinstance(one, ast.Constant):
            text += str(one.value)
        elif re.search("database|backup|path|log", ast.unparse(one)):
            text += "mephisto.db"
        else:
            # Right after a word it is the rest of the command, if there is one.
            text += "" if text[-1:].isalpha() else VALUE
    return text


def advised_commands() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            source = path.read_text(encoding="utf-8")
            if "`mephisto-es " in source:
                for found in (one for text in texts_of(ast.parse(source)) for one in QUOTED.finditer(text)):
                    yield str(path.relative_to(ROOT)), found[1]


COMMANDS = sorted(set(advised_commands()))


def parse(written: str) -> None:
    """Parse a command as click does, without running it.

    Raises:
        click.UsageError: click would refuse it.
    """
    # Readers who have named a database see it in the command; the others leave it out.
    words = shlex.split(with_database(f"mephisto-es {written}", "DATABASE"))[1:]
    ctx, path = click.Context(command.main), list[str]()
    verb: click.Command = command.main
    while isinstance(verb, click.Group) and words:
        path.append(words.pop(0))
        found = verb.get_command(ctx, path[-1])
        if found is None:
            raise click.UsageError(f"there is no verb {' '.join(path)}")
        verb = found
    given, left, _ = verb.make_parser(click.Context(verb)).parse_args(words)
    arguments = [one for one in verb.params if isinstance(one, click.Argument)]
    missing = [
        one.name
        for one in arguments
        if one.required and one.name not in FOUND_BY_VERB and not isinstance(given.get(one.name or ""), str | tuple)
    ]
    if left or missing:
        raise click.UsageError(f"{left} is too much" if left else f"{missing} is missing")


def test_advised_commands_can_be_typed() -> None:
    refused = []
    for module, written in COMMANDS:
        try:
            parse(written)
        except click.UsageError as error:
            refused.append(f"{module} advises `mephisto-es {written}`: {error}")
    assert len(COMMANDS) > 50
    assert refused == []


def test_what_cannot_be_typed_is_seen() -> None:
    for wrong in ("message", "pay --settle", "pay 1 --nonsense", "no-such-verb", "log nothing"):
        with pytest.raises(click.UsageError):
            parse(wrong)
