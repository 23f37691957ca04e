"""Reads the `#:` comments of fields from the source, because no object keeps them at run time."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_MARK = "#:"


class Field(NamedTuple):
    """A field of a struct or settings class, or a member of an enum."""

    name: str
    #: The type as written in the source; empty for a member of an enum.
    annotation: str
    #: The default as written in the source; empty if there is none.
    default: str
    #: The `#:` lines above it, joined.
    comment: str


def fields_of(described: type) -> list[Field]:
    """Return the fields in a class's own body, in order."""
    source = textwrap.dedent(inspect.getsource(described))
    lines = source.splitlines()
    (body,) = ast.parse(source).body
    if not isinstance(body, ast.ClassDef):
        raise TypeError(f"{described} is not a class")
    found = []
    for node in body.body:
        if isinstance(node, ast.AnnAssign):
            name, annotation = ast.unparse(node.target), ast.unparse(node.annotation)
        elif isinstance(node, ast.Assign):
            name, annotation = ast.unparse(node.targets[0]), ""
        else:
            continue
        default = "" if node.value is None else ast.unparse(node.value)
        found.append(Field(name, annotation, default, _comment_above(lines, node.lineno)))
    return found


def first_line(documented: object) -> str:
    """Return the first paragraph of a docstring on one line."""
    paragraph = (inspect.getdoc(documented) or "").split("\n\n")[0]
    return " ".join(paragraph.split())


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table, with cells escaped."""
    lines = [_row(head), _row("---" for _ in head), *(_row(map(_cell, row)) for row in rows)]
    return "\n".join(lines)


def code(text: str) -> str:
    """Return a text formatted as code; an empty text stays empty."""
    return f"`{text}`" if text else ""


def _comment_above(lines: Sequence[str], line_number: int) -> str:
    words: list[str] = []
    for line in reversed(lines[: line_number - 1]):
        if not line.strip().startswith(_MARK):
            break
        words.insert(0, line.strip().removeprefix(_MARK).strip())
    return " ".join(words)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
