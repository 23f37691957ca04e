"""Draws a lifecycle: a line for each status, a column for each event.

In its column an event has a dot on each status it may start from and an arrowhead on the one it leads to. Nothing can
overlap, whatever the table holds, so there is no layout to be wrong. The picture takes its colours from the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

LINE_HEIGHT = 34
COLUMN_WIDTH = 38
#: Space for the names of the events, which are slanted.
HEAD_HEIGHT = 168
LEAN_WIDTH = 150
LETTER_WIDTH = 8
DOT = 4.5


class Arrow(NamedTuple):
    """An event in a chart."""

    event: str
    sources: tuple[str, ...]
    target: str


def chart(statuses: Sequence[str], arrows: Sequence[Arrow], title: str) -> str:
    """Return an SVG drawing to embed in a page.

    Args:
        statuses: from top to bottom.
        arrows: from left to right.
        title: for who cannot see it.
    """
    left = max(map(len, statuses)) * LETTER_WIDTH + 24
    width = left + len(arrows) * COLUMN_WIDTH + LEAN_WIDTH
    height = HEAD_HEIGHT + len(statuses) * LINE_HEIGHT
    height_of = {status: HEAD_HEIGHT + LINE_HEIGHT * (number + 0.5) for number, status in enumerate(statuses)}
    drawn = [
        *(_line(status, height_of[status], left, left + len(arrows) * COLUMN_WIDTH) for status in statuses),
        *(
            part
            for number, arrow in enumerate(arrows)
            for part in _column(arrow, left + COLUMN_WIDTH * (number + 0.5), height_of)
        ),
    ]
    return (
        f'<div class="lifecycle"><svg role="img" viewBox="0 0 {width} {height}" style="max-width: {width}px"'
        f' xmlns="http://www.w3.org/2000/svg"><title>{escape(title)}</title>{"".join(drawn)}</svg></div>'
    )


def _line(status: str, y: float, left: int, right: int) -> str:
    return (
        f'<text class="status" x="{left - 12}" y="{y + 4:g}" text-anchor="end">{escape(status)}</text>'
        f'<line class="status" x1="{left}" y1="{y:g}" x2="{right}" y2="{y:g}"/>'
    )


def _column(arrow: Arrow, x: float, height_of: dict[str, float]) -> Iterator[str]:
    target = height_of[arrow.target]
    starts = [height_of[source] for source in arrow.sources]
    top, bottom = min([target, *starts]), max([target, *starts])
    yield (
        f'<text class="event" x="{x:g}" y="{HEAD_HEIGHT - 6}" transform="rotate(-48 {x:g} {HEAD_HEIGHT - 6})">'
        f"{escape(arrow.event)}</text>"
    )
    yield f'<line class="event" x1="{x:g}" y1="{top:g}" x2="{x:g}" y2="{bottom:g}"/>'
    for y in starts:
        yield f'<circle class="event" cx="{x:g}" cy="{y:g}" r="{DOT}"/>'
    if min(starts) < target:
        yield _head(x, target, -1)
    if max(starts) > target:
        yield _head(x, target, 1)


def _head(x: float, y: float, side: int) -> str:
    """Return an arrowhead that touches a line from above (-1) or from below (1)."""
    back = y + side * 11
    return f'<path class="event" d="M{x - 6:g} {back:g} L{x + 6:g} {back:g} L{x:g} {y + side:g} Z"/>'
