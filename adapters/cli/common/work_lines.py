"""Shows submitted work on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
from rich.markup import escape

from ....core.operations.configuration.money import amount
from ....events.ids import AgentId
from ....projections.queries.appeals import OpenAppeal
from ....projections.queries.late_work import LateWork
from ....projections.queries.unit_records import UnitRecord
from ....projections.queries.worker_names import shown_name
from ...text import format_author, format_duration, format_worker
from .top_ups import top_up_text

#: The longest input or output that is shown whole, in characters.
SHOWN_CHARACTERS = 400


def lines_of_late_work(late: LateWork) -> Iterator[str]:
    """Yield the lines that show late work, as markup."""
    after = format_duration((late.submitted_at - late.ended_at).total_seconds())
    other = "" if late.other_agent_id is None else f" by agent-{late.other_agent_id}"
    head = f"[bold]agent-{late.agent_id}[/]  unit-{late.unit_id}  {_worker(late.worker_id, late.worker_name)}"
    yield f"{head}  worth {amount(late.pay_cents)}  {after} late; the unit is now {late.unit_status}{other}"
    yield f"    [dim]end[/] {late.ended_as}: {escape(late.reason)}"
    yield f"    [dim]in [/] {shown_json(late.inputs)}"
    yield f"    [dim]out[/] {shown_json(late.outputs)}"


def lines_of_appeal(appeal: OpenAppeal) -> Iterator[str]:
    """Yield the lines that show an objection and the work it is about, as markup."""
    head = f"[bold]agent-{appeal.agent_id}[/]  unit-{appeal.unit_id}  worker-{appeal.worker_id}"
    yield f"{head}  worth {amount(appeal.pay_cents)}  rejected by {escape(format_author(appeal.rejected_by))}"
    yield f"    [dim]why[/] {shown_json(appeal.note)}"
    yield f"    [dim]but[/] {shown_json(appeal.objection)}"
    yield f"    [dim]in [/] {shown_json(appeal.inputs)}"
    yield f"    [dim]out[/] {shown_json(appeal.outputs)}"


def lines_of_work(unit: UnitRecord, proposed: Mapping[AgentId, int]) -> Iterator[str]:
    """Yield the lines that show submitted work and its proposed top-up, as markup."""
    took = "" if unit.work_seconds is None else f"  took {format_duration(unit.work_seconds)}"
    head = f"[bold]agent-{unit.agent_id}[/]  unit-{unit.unit_id}  {_worker(unit.worker_id, unit.worker_name)}"
    yield f"{head}  worth {amount(unit.pay_cents)}{took}{top_up_text(unit.agent_id, proposed)}"
    if unit.problems:
        yield f"    [yellow]does not fit the form[/]: {escape('; '.join(unit.problems))}"
    yield f"    [dim]in [/] {shown_json(unit.inputs)}"
    yield f"    [dim]out[/] {shown_json(unit.outputs)}"


def _worker(worker: int | None, name: str | None) -> str:
    return "" if worker is None else escape(format_worker(worker, None if name is None else shown_name(name)))


def shown_json(value: object) -> str:
    """Return a value as JSON and markup, cut if it is long."""
    text = msgspec.json.encode(value).decode()
    return escape(text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]} ...")
