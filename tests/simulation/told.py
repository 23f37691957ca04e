"""What operators tell pages, compared with the log as it is at that moment."""

from __future__ import annotations

from collections.abc import Callable

from mephisto_es.core.packets import AgentDetails, Outbound, UpdateStatus
from mephisto_es.core.ports import EventLog
from mephisto_es.core.state.decision_state import DecisionState


class DurableStatuses:
    """The statuses that agents have had in the log, which is read as it grows."""

    def __init__(self, log: Callable[[], EventLog]) -> None:
        """Initialize.

        Args:
            log: returns the log of the operator that lives.
        """
        self._log = log
        self._seq = 0
        self._state = DecisionState()
        self._statuses: set[tuple[str, str]] = set()

    def check(self, packet: Outbound) -> None:
        """Check that what is sent to a page is durable."""
        if isinstance(packet, AgentDetails):
            token, status = packet.data.agent_id, packet.data.status
        elif isinstance(packet, UpdateStatus):
            token, status = packet.subject_id, packet.data.status
        else:
            return
        # An onboarding that cannot be decided waits, which is no status of its lifecycle.
        if token is None or status is None or token.startswith("onboarding"):
            return
        self._read()
        assert (token, status) in self._statuses, f"the page of {token} was told {status!r} before the log had it"

    def _read(self) -> None:
        for recorded in self._log().read(after=self._seq):
            stream = recorded.envelope.stream
            self._state.apply(recorded.envelope)
            self._seq = recorded.seq
            if stream.startswith("agent/"):
                agent = self._state.agents[stream]
                self._statuses.add((agent.token, agent.status.value))
