"""Text with markup that is printed to a file or pipe."""

from __future__ import annotations

from itertools import product

from rich.markup import escape, render

from mephisto_es.adapters.cli.common.output import without_markup

_PARTS = ("a", "\\", "[", "]", "/", "5", " ", "[b]", "[/]", "#x")


def test_a_stranger_s_text_is_printed_as_rich_prints_it() -> None:
    for parts in product(_PARTS, repeat=4):
        text = f"[bold]agent-1[/]  [dim]in [/] {escape(''.join(parts))} [red]![/]\nnext"
        assert without_markup(text) == render(text, emoji=False).plain, text


def test_what_was_escaped_is_printed_as_it_was() -> None:
    hostile = '{"text":"[red]x[/red] [/] [link=https://example.org]y[/link] \\\\[bold]"}'
    assert without_markup(f"[dim]out[/] {escape(hostile)}") == f"out {hostile}"
