"""Applies changes to the text of a script at the positions that its syntax tree names."""

from __future__ import annotations

import ast
from typing import NamedTuple


class Edit(NamedTuple):
    """A part of a text and what to write in its place. Positions are in bytes, as those of a syntax tree."""

    start: int
    end: int
    text: str


class SourceText:
    """The text of a script, with the changes made to it so far."""

    def __init__(self, text: str) -> None:
        self._bytes = text.encode()
        lines = self._bytes.splitlines(keepends=True)
        self._starts = [0]
        for line in lines:
            self._starts.append(self._starts[-1] + len(line))
        self._edits: set[Edit] = set()

    def position(self, line: int, column: int) -> int:
        """Return the position of a line, counted from 1, and a column in bytes."""
        return self._starts[line - 1] + column

    def start_of(self, node: ast.expr | ast.stmt) -> int:
        """Return the position at which a node begins."""
        return self.position(node.lineno, node.col_offset)

    def end_of(self, node: ast.expr | ast.stmt) -> int:
        """Return the position after a node."""
        line, column = node.end_lineno, node.end_col_offset
        return self.start_of(node) if line is None or column is None else self.position(line, column)

    def replace(self, start: int, end: int, text: str) -> None:
        """Write something in place of a part of the text."""
        self._edits.add(Edit(start, end, text))

    def insert(self, position: int, text: str) -> None:
        """Write something before a position."""
        self._edits.add(Edit(position, position, text))

    def remove_line(self, node: ast.stmt) -> None:
        """Remove a statement with the lines that it is on."""
        end = node.end_lineno or node.lineno
        self.replace(self.position(node.lineno, 0), self._starts[end], "")

    def changed(self) -> str:
        """Return the text with all changes."""
        changed = self._bytes
        for start, end, text in sorted(self._edits, reverse=True):
            changed = changed[:start] + text.encode() + changed[end:]
        return changed.decode()
