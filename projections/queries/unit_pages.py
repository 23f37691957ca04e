"""Reads what belongs to some units of a run: a few queries for a page of units, not a dozen for each unit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import msgspec

from ...core.abstractions.work_data import InitializationData
from ...core.errors import UnusableLogError
from ...events.base import PayloadRef
from ...events.ids import TaskRunId
from ..mephisto_db.queries import JsonValue
from ..mephisto_db.reader import MephistoDB
from ..mephisto_db.rows import AgentPayloadRow, AgentRow, AssignmentRow, UnitRow
from ..mephisto_db.work_reader import outputs_of

T = TypeVar("T")

#: Units that are read together. So many are in memory at a time, however many a run has.
PAGE_UNITS = 200
#: Bytes of payloads that are read together; of a page with more, the rest is read one by one.
MAX_PAGE_BYTES = 2**22

_UNITS = "SELECT unit_id FROM units WHERE task_run_id = ? ORDER BY unit_id"


class UnitPage:
    """Some units of a run, with their assignments, agents and data.

    Attributes:
        units: the units.
        agents: the agent of each unit that has one, by id.
    """

    def __init__(self, db: MephistoDB, units: Sequence[UnitRow], max_bytes: int = MAX_PAGE_BYTES) -> None:
        """Read everything but payloads beyond a limit.

        Args:
            db: the view.
            units: the units.
            max_bytes: the payloads that are read together have at most so many bytes.
        """
        self.units = units
        self._db = db
        items = {unit.assignment_id for unit in units}
        self._assignments = {one.assignment_id: one for one in db.find_among(AssignmentRow, "assignment_id", items)}
        agents = {unit.agent_id for unit in units if unit.agent_id is not None}
        self.agents = {one.agent_id: one for one in db.find_among(AgentRow, "agent_id", agents)}
        self._sent: defaultdict[int, list[AgentPayloadRow]] = defaultdict(list)
        for row in db.find_among(AgentPayloadRow, "agent_id", agents):
            self._sent[row.agent_id].append(row)
        self._bodies = db.read_bodies(self._first_payloads(max_bytes))

    def agent_of(self, unit: UnitRow) -> AgentRow | None:
        """Return the agent of a unit of this page, or None if it has none."""
        if unit.agent_id is None:
            return None
        return self.agents.get(unit.agent_id) or self._db.get(AgentRow, unit.agent_id)

    def assignment_of(self, unit: UnitRow) -> AssignmentRow:
        """Return the assignment of a unit of this page."""
        return self._assignments.get(unit.assignment_id) or self._db.get(AssignmentRow, unit.assignment_id)

    def inputs_of(self, unit: UnitRow) -> JsonValue:
        """Return the input data of a unit of this page, or None if it was erased."""
        ref = self.assignment_of(unit).data
        if ref.sha256 not in self._bodies:
            return self._db.get_inputs(unit)
        body = self._bodies[ref.sha256]
        try:
            return None if body is None else _data.decode(body).of_unit(unit.unit_index)
        except msgspec.DecodeError as error:
            raise UnusableLogError(f"the data of assignment-{unit.assignment_id} cannot be read: {error}") from error

    def outputs_of(self, agent: AgentRow) -> JsonValue:
        """Return the outputs of an agent of this page, as `MephistoDB.get_outputs` does."""
        return outputs_of(self, agent, self._sent[agent.agent_id])

    def read_json(self, ref: PayloadRef) -> JsonValue:
        """Return the JSON value behind a reference, or None if it was erased."""
        if ref.sha256 not in self._bodies:
            return self._db.read_json(ref)
        body = self._bodies[ref.sha256]
        try:
            value: JsonValue = None if body is None else msgspec.json.decode(body)
        except msgspec.DecodeError as error:
            raise UnusableLogError(f"the payload {ref.sha256} cannot be read: {error}") from error
        return value

    def _first_payloads(self, left: int) -> list[PayloadRef]:
        """Return the payloads to read together, within a limit in bytes."""
        data = (one.data for one in self._assignments.values())
        sent = (ref for rows in self._sent.values() for row in rows for ref in (row.ref, row.file_details) if ref)
        refs: list[PayloadRef] = []
        for ref in (*data, *sent):
            if ref.size <= left:
                refs.append(ref)
                left -= ref.size
        return refs


_data = msgspec.json.Decoder(InitializationData)


def units_of_run(db: MephistoDB, run: TaskRunId) -> Iterator[UnitRow]:
    """Yield the units of a run, oldest first, some at a time."""
    for numbers in in_pages(db.execute(_UNITS, (run,))):
        yield from db.find_among(UnitRow, "unit_id", [number for (number,) in numbers])


def unit_pages(db: MephistoDB, units: Iterable[UnitRow]) -> Iterator[UnitPage]:
    """Yield pages of units, in their order."""
    for some in in_pages(units):
        yield UnitPage(db, some)


def in_pages(values: Iterable[T], size: int = PAGE_UNITS) -> Iterator[list[T]]:
    """Yield lists of at most so many values, in their order."""
    rest = iter(values)
    while some := list(islice(rest, size)):
        yield some
