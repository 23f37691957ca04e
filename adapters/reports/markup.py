"""Writes a document as Markdown, HTML or LaTeX. Text from strangers stays text in all of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from html import escape
from typing import assert_never

from ...core.printable import printable_lines
from .document import Block, Caution, Document, Grid, Paragraph

_STYLE = """
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: #1b1b1b; }
table { border-collapse: collapse; margin: 0.5rem 0 1rem; display: block; overflow-x: auto; }
th, td { padding: 0.2rem 1rem 0.2rem 0; text-align: left; border-bottom: 1px solid #ddd; vertical-align: top; }
td:not(:first-child), th:not(:first-child) { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.caution { border-left: 4px solid #b3261e; padding-left: 0.8rem; }
@media (prefers-color-scheme: dark) { body { background: #161616; color: #eee; } th, td { border-color: #444; } }
"""
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#])")
_LATEX: Mapping[str, str] = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    # After the end of a row these would be an argument of it.
    "[": "{[}",
    "*": "{*}",
    # Two of them would become a dash.
    "-": "-{}",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
}


def as_markdown(document: Document) -> str:
    """Return a document as Markdown with tables."""
    parts = [f"# {_markdown(document.title)}"]
    for section in document.sections:
        parts += [f"## {_markdown(section.title)}", *map(_markdown_block, section.blocks)]
    return "\n\n".join(parts) + "\n"


def as_html(document: Document) -> str:
    """Return a document as one HTML page, which needs nothing else."""
    title = _html(document.title)
    body = "".join(
        f"<section>\n<h2>{_html(one.title)}</h2>\n{''.join(map(_html_block, one.blocks))}</section>\n"
        for one in document.sections
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{body}</main>\n</body>\n</html>\n"
    )


def as_latex(document: Document) -> str:
    r"""Return a document as LaTeX, to be included with `\input`; it needs no package."""
    parts = [f"% {_latex(document.title)}"]
    for section in document.sections:
        parts += [f"\\subsection*{{{_latex(section.title)}}}", *map(_latex_block, section.blocks)]
    return "\n\n".join(parts) + "\n"


#: Writers by the name of the format.
WRITERS: Mapping[str, Callable[[Document], str]] = {"html": as_html, "markdown": as_markdown, "latex": as_latex}


def _markdown_block(block: Block) -> str:
    match block:
        case Paragraph(text):
            return _markdown(text)
        case Caution(text):
            return f"> **Note:** {_markdown(text)}"
        case Grid(head, rows):
            lines = [_markdown_row(head), _markdown_row(("---", *("---:" for _ in head[1:])), raw=True)]
            return "\n".join([*lines, *map(_markdown_row, rows)])
        case _:
            assert_never(block)


def _markdown_row(cells: Iterable[str], *, raw: bool = False) -> str:
    return f"| {' | '.join(cell if raw else _markdown(cell) for cell in cells)} |"


def _markdown(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", _line(text))


def _html_block(block: Block) -> str:
    match block:
        case Paragraph(text):
            return f"<p>{_html(text)}</p>\n"
        case Caution(text):
            return f'<p class="caution">{_html(text)}</p>\n'
        case Grid(head, rows):
            top = "".join(f'<th scope="col">{_html(cell)}</th>' for cell in head)
            body = "".join(map(_html_row, rows))
            return f"<table>\n<thead><tr>{top}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n"
        case _:
            assert_never(block)


def _html_row(row: tuple[str, ...]) -> str:
    cells = "".join(f"<td>{_html(cell)}</td>" for cell in row[1:])
    return f'<tr><th scope="row">{_html(row[0])}</th>{cells}</tr>\n'


def _html(text: str) -> str:
    return escape(_line(text))


def _latex_block(block: Block) -> str:
    match block:
        case Paragraph(text):
            return _latex(text)
        case Caution(text):
            return f"\\textbf{{Note: {_latex(text)}}}"
        case Grid(head, rows):
            columns = "l" + "r" * (len(head) - 1)
            lines = [_latex_row(head), "\\hline", *map(_latex_row, rows)]
            return "\n".join([f"\\noindent\\begin{{tabular}}{{{columns}}}", *lines, "\\end{tabular}"])
        case _:
            assert_never(block)


def _latex_row(cells: Iterable[str]) -> str:
    return f"{' & '.join(map(_latex, cells))} \\\\"


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in _line(text))


def _line(text: str) -> str:
    return printable_lines(text).replace("\n", " ")
