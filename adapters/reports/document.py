"""Describes a document without its markup: sections with paragraphs, facts and tables."""

from __future__ import annotations

from typing import NamedTuple


class Paragraph(NamedTuple):
    """Running text."""

    text: str


class Caution(NamedTuple):
    """Text that must not be overlooked."""

    text: str


class Grid(NamedTuple):
    """A table; the first column names things, the others have figures."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Block = Paragraph | Caution | Grid


class Section(NamedTuple):
    """A part of a document."""

    title: str
    blocks: tuple[Block, ...]


class Document(NamedTuple):
    """A document."""

    title: str
    sections: tuple[Section, ...]
