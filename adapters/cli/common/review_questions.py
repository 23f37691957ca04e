"""Asks a reviewer on the terminal for verdicts, one piece of work after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import click

from ....core.commands.review import Verdict
from ....core.operations.control.requests import VerdictRequest
from ....events.ids import AgentId
from ....projections.queries.unit_records import UnitRecord
from ...terminal import echo
from .output import console
from .work_lines import lines_of_work

_KEYS = {"a": Verdict.APPROVED, "s": Verdict.SOFT_REJECTED, "r": Verdict.REJECTED}
_KEYS_HELP = (
    "Type one letter: a accepts and pays the work, s pays it but leaves it out of the data, r rejects it unpaid, "
    "n leaves it for later, q stops here. After s and r you are asked for a note."
)
_REASON_PROMPT = "Why? The worker reads it"


def ask_for_verdicts(
    units: Iterable[UnitRecord], total: int, proposed: Mapping[AgentId, int], note: str | None, bonus_cents: int
) -> Iterator[VerdictRequest]:
    """Ask for verdicts on the terminal, and yield each one at once, so that an interruption loses none.

    Args:
        units: the work.
        total: the number of units at most.
        proposed: bonuses in cents that lift work to the minimum hourly pay, by agent; they are shown.
        note: recorded with each verdict; if there is none, the reviewer is asked for the reason of each rejection
            and soft rejection.
        bonus_cents: given for each unit that is approved.
    """
    out = console()
    for number, unit in enumerate(units, start=1):
        out.print("\n".join(lines_of_work(unit, proposed)))
        key = _ask_for_key(f"{number}/{total}")
        if key == "q":
            break
        if key in _KEYS and unit.agent_id is not None:
            bonus = bonus_cents if _KEYS[key] is Verdict.APPROVED else 0
            reason = note if (note or "").strip() else _ask_for_note(_KEYS[key])
            yield VerdictRequest(agent=AgentId(unit.agent_id), verdict=_KEYS[key], note=reason, bonus_cents=bonus)


def _ask_for_key(place: str) -> str:
    """Ask for one of the keys; explain them to whoever typed something else."""
    while True:
        key = click.prompt(
            f"{place}  (a)pprove, (s)oft-reject, (r)eject, (n)ext, (q)uit", default="", show_default=False
        )
        if (typed := key.strip().lower()) in {*_KEYS, "n", "q"}:
            return str(typed)
        echo(_KEYS_HELP)


def _ask_for_note(verdict: Verdict) -> str | None:
    """Ask for the note of a verdict against the work. A rejection needs one; for another verdict Enter means none."""
    if verdict is Verdict.REJECTED:
        while not (note := str(click.prompt(_REASON_PROMPT, default="", show_default=False)).strip()):
            echo("A rejection needs a reason, which the worker reads.")
        return note
    if verdict is Verdict.SOFT_REJECTED:
        note = str(click.prompt(f"{_REASON_PROMPT} (Enter for no note)", default="", show_default=False)).strip()
        return note or None
    return None
