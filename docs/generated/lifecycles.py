"""Generates charts, tables and Mermaid source of the lifecycles from the tables that the code uses."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import cast

from mephisto_es.core.lifecycles.table import Lifecycle, Status, Step
from mephisto_es.core.state.status_fold import LIFECYCLES
from mephisto_es.events.base import kind_of

from .chart import Arrow, chart
from .sources import code, first_line, table

#: The lifecycles that readers look for first, in this order.
FIRST = ("unit", "agent", "onboarding agent", "engagement", "worker", "task run")

#: Stands for the status of an entity that does not exist yet.
NOTHING = "(not there)"


def all_lifecycles() -> str:
    """Return a section for each lifecycle."""
    known = cast("tuple[Lifecycle[Status], ...]", LIFECYCLES)  # of many kinds of status
    by_name = {lifecycle.name: lifecycle for lifecycle in known}
    return "\n\n".join(_section(by_name[name]) for name in dict.fromkeys((*FIRST, *by_name)))


def steps_by_event() -> dict[str, list[str]]:
    """Return the steps of each kind of event, as `launched → assigned`."""
    found: dict[str, list[str]] = {}
    for lifecycle in LIFECYCLES:
        for row in lifecycle.steps:
            steps = found.setdefault(kind_of(row.event), [])
            steps += [f"{_name(source)} → {row.target.value}" for source in row.sources if source is not row.target]
    return found


def _section(lifecycle: Lifecycle[Status]) -> str:
    about = first_line(sys.modules[lifecycle.statuses.__module__])
    name = lifecycle.name[0].upper() + lifecycle.name[1:]
    final = [code(str(status.value)) for status in lifecycle.statuses if lifecycle.is_final(status)]
    ends = f"Final: {', '.join(final)}." if final else "No status is final."
    mermaid = "\n".join(f"    {line}" for line in lifecycle.diagram().splitlines())
    return "\n\n".join(
        [
            f"## {name}",
            f"{about} {ends}",
            chart(_statuses(lifecycle), list(_arrows(lifecycle)), f"Lifecycle of {lifecycle.name}"),
            table(("event", "from", "to"), map(_row, lifecycle.steps)),
            f'??? note "The same for Mermaid"\n\n    ```text\n{mermaid}\n    ```',
        ]
    )


def _row(row: Step[Status]) -> tuple[str, str, str]:
    stays = all(source is row.target for source in row.sources)
    sources = ", ".join(code(_name(source)) for source in row.sources)
    target = "unchanged" if stays else code(str(row.target.value))
    return f"[`{kind_of(row.event)}`](events.md#{kind_of(row.event)})", sources, target


def _statuses(lifecycle: Lifecycle[Status]) -> list[str]:
    """Return all statuses that are part of a step, beginning with the absent one."""
    used = {_name(source) for row in lifecycle.steps for source in row.sources}
    used |= {str(row.target.value) for row in lifecycle.steps}
    return [name for name in (NOTHING, *(str(status.value) for status in lifecycle.statuses)) if name in used]


def _arrows(lifecycle: Lifecycle[Status]) -> Iterator[Arrow]:
    """Yield an arrow for each event and each status it leads to, except for events that change no status."""
    merged: dict[tuple[str, str], list[str]] = {}
    for row in lifecycle.steps:
        sources = [_name(source) for source in row.sources if source is not row.target]
        if sources:
            merged.setdefault((kind_of(row.event), str(row.target.value)), []).extend(sources)
    for (event, target), sources in merged.items():
        yield Arrow(event, tuple(sources), target)


def _name(status: Status | None) -> str:
    return NOTHING if status is None else str(status.value)
