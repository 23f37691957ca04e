"""The reads that a row makes to reach the rows it belongs to, whoever carries them out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ...core.abstractions.work_data import InitializationData, Update
from ...events.base import PayloadRef
from . import rows
from .criteria import EntityId
from .decisions import Decider
from .rows import R

if TYPE_CHECKING:
    #: Any JSON value, as a worker's page may send it.
    JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]
else:
    # Structs have fields of this type, and msgspec, which makes their schemas, has no recursive types.
    JsonValue = Any


class MephistoQueries(Decider, Protocol):
    """A source of rows, and of the payloads they refer to. Implemented by `MephistoDB`."""

    def get(self, row: type[R], db_id: EntityId) -> R:
        """Return the row with an id.

        Raises:
            UnknownEntityError: there is none; the message names the nearest id.
        """

    def find(self, row: type[R], **by: EntityId | None) -> list[R]:
        """Return the rows whose columns have the given values, oldest first. A value of None matches every row.

        Raises:
            TypeError: the table has no such column.
        """

    def get_assignment_data(self, assignment_id: EntityId) -> InitializationData | None:
        """Return the input data of an assignment, or None if it was erased."""

    def get_inputs(self, unit: rows.UnitRow) -> Update | None:
        """Return the input data of a unit, or None if it was erased."""

    def get_unit_inputs(self, unit_id: EntityId) -> Update | None:
        """Return the input data of the unit with an id, or None if it was erased."""

    def run_dir(self, task_run_id: EntityId) -> Path:
        """Return the folder of a run, beside the log.

        Raises:
            UnusableLogError: the log is not a file.
        """

    def get_outputs(self, agent: rows.AgentRow) -> JsonValue:
        """Return an agent's submission, or None if there is none or it was erased."""

    def read_json(self, ref: PayloadRef) -> JsonValue:
        """Return the JSON value behind a reference, or None if it was erased."""
