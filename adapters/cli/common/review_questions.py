"""Asks a reviewer on the terminal for verdicts, one piece of work after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import click

from ....core.commands.review import Verdict
from ....core.operations.control.requests import VerdictRequest
from ....events.ids import AgentId
from ....projections.queries.unit_records import UnitRecord
from .output import console
from .work_lines import lines_of_work

_KEYS = {"a": Verdict.APPROVED, "s": Verdict.SOFT_REJECTED, "r": Verdict.REJECTED}


def ask_for_verdicts(
    units: Sequence[UnitRecord], proposed: Mapping[AgentId, int], note: str | None, bonus_cents: int
) -> Iterator[VerdictRequest]:
    """Ask for verdicts on the terminal, and yield each one at once, so that an interruption loses none.

    Args:
        units: the work.
        proposed: bonuses in cents that lift work to the minimum hourly pay, by agent; they are shown.
        note: recorded with each verdict; if there is none, the reason of each rejection is asked for.
        bonus_cents: given for each unit that is approved.
    """
    out = console()
    for number, unit in enumerate(units, start=1):
        out.print("\n".join(lines_of_work(unit, proposed)))
        key = click.prompt(
            f"{number}/{len(units)}  (a)pprove, (s)oft-reject, (r)eject, (n)ext, (q)uit",
            type=click.Choice([*_KEYS, "n", "q"]),
            show_choices=False,
        )
        if key == "q":
            break
        if key in _KEYS and unit.agent_id is not None:
            bonus = bonus_cents if _KEYS[key] is Verdict.APPROVED else 0
            is_reason_missing = _KEYS[key] is Verdict.REJECTED and not (note or "").strip()
            reason = click.prompt("Why? The worker reads it") if is_reason_missing else note
            yield VerdictRequest(agent=AgentId(unit.agent_id), verdict=_KEYS[key], note=reason, bonus_cents=bonus)
