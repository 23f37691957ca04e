"""What a worker was given and handed in, for the code that looks at it."""

from __future__ import annotations

from typing import Any

import msgspec

from ...events.ids import AgentId, WorkerId


class AgentState(msgspec.Struct, frozen=True):
    """The data of one agent's work."""

    #: What the page began with.
    inputs: dict[str, Any]
    #: What was handed in, as JSON has it; None: nothing was, or it was erased.
    outputs: Any = None

    def get_init_state(self) -> dict[str, Any]:
        """What the page began with."""
        return self.inputs

    def get_data(self) -> dict[str, Any]:
        """Both, under the names `inputs` and `outputs`."""
        return {"inputs": self.inputs, "outputs": self.outputs}


class AssignedAgent(msgspec.Struct, frozen=True):
    """Who did a unit, and what came of it."""

    agent_id: AgentId
    worker_id: WorkerId
    state: AgentState
