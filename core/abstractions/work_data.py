"""Data of assignments and of agents' work, as launch scripts, task code and reviewers get it."""

from __future__ import annotations

from typing import Any

import msgspec

from ...events.ids import AgentId, WorkerId

#: A JSON object, as pages and task code exchange them.
Update = dict[str, Any]


class InitializationData(msgspec.Struct, frozen=True, kw_only=True):
    """The data of one assignment."""

    #: Data that all its units share.
    shared: Update
    #: One object per unit, in the order of the unit indexes.
    unit_data: tuple[Update, ...] = ({},)

    def of_unit(self, unit_index: int) -> Update:
        """Return the data of the unit with an index: the shared data and the unit's own."""
        return self.shared | (self.unit_data[unit_index] if 0 <= unit_index < len(self.unit_data) else {})


class AgentState(msgspec.Struct, frozen=True):
    """The data of one agent's work."""

    #: Data that the page started with.
    inputs: dict[str, Any]
    #: The submission, as decoded JSON; None if there is none, or it was erased.
    outputs: Any = None

    def get_init_state(self) -> dict[str, Any]:
        """Return the data that the page started with."""
        return self.inputs

    def get_data(self) -> dict[str, Any]:
        """Return both, under the names `inputs` and `outputs`."""
        return {"inputs": self.inputs, "outputs": self.outputs}


class AssignedAgent(msgspec.Struct, frozen=True):
    """The agent that did a unit, with its work."""

    agent_id: AgentId
    worker_id: WorkerId
    state: AgentState


def to_plain(value: object) -> object:
    """Convert a value of numpy or pandas to plain Python types.

    Raises:
        TypeError: the value is of another type.
    """
    tolist = getattr(value, "tolist", None)
    if callable(tolist) and not isinstance(value, type):
        return tolist()
    raise TypeError(f"{type(value).__name__} has no form in JSON")
