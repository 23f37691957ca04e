"""What a class says of its fields: the `#:` lines above them, which no object keeps at run time."""

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
    #: The type as it is written; empty for a member of an enum.
    annotation: str
    #: The default as it is written; empty: there is none.
    default: str
    #: The `#:` lines above it, as one.
    comment: str


def fields_of(described: type) -> list[Field]:
    """The fields of a class's own body, in order."""
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
    """The first paragraph of a docstring, on one line."""
    paragraph = (inspect.getdoc(documented) or "").split("\n\n")[0]
    return " ".join(paragraph.split())


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; what would break a cell is escaped."""
    lines = [_row(head), _row("---" for _ in head), *(_row(map(_cell, row)) for row in rows)]
    return "\n".join(lines)


def code(text: str) -> str:
    """A text in code type; nothing stays nothing."""
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
