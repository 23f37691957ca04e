"""Records the updates that task code sends to workers' pages; they are sent once they are durable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from ....events import streams
from ....events.agent import AgentObserved
from ....events.envelope import RecordedEvent
from ....events.ids import TaskRunId
from ....events.onboarding import OnboardingObserved
from ...abstractions.agent import Update
from ...command_issuer import CommandIssuer
from ...commands.agent import RecordObservation, RecordOnboardingObservation
from ...commands.base import Command
from ...ledger import Ledger
from ...lifecycles.agent import AgentRecord
from ...lifecycles.onboarding import OnboardingRecord
from ...payloads import pseudonym, seal
from ...ports import Ids, Payload


class Observations:
    """Numbers and records updates to pages."""

    def __init__(self, ledger: Ledger, ids: Ids, run: TaskRunId) -> None:
        self._ledger = ledger
        self._ids = ids
        self._issuer = CommandIssuer(ledger, ids)
        self._run = run
        #: Number of updates of each stream that has some that are not durable yet, with these.
        self._sent: dict[str, int] = {}

    async def record(self, agent: AgentRecord | OnboardingRecord, update: Update) -> None:
        """Record an update to a page; returns once it is durable.

        Without an `update_id`, the update gets one that is derived from stream and number, so it is always the same.

        Args:
            agent: the present state of the agent whose page it is.
            update: a JSON object.
        """
        number, update_id, payload = self._next(agent, update)
        command: Command
        if isinstance(agent, AgentRecord):
            command = RecordObservation(
                task_run=self._run, agent=agent.agent, number=number, update_id=update_id, update=payload.ref
            )
        else:
            command = RecordOnboardingObservation(
                task_run=self._run, agent=agent.agent, number=number, update_id=update_id, update=payload.ref
            )
        await self._issuer.issue(command, payload)
        stream = self._stream_of(agent)
        if self._sent.get(stream) == number:
            # From now on the state says it.
            del self._sent[stream]

    def _next(self, agent: AgentRecord | OnboardingRecord, update: Update) -> tuple[int, str, Payload]:
        """Return number, id and sealed body of an agent's next update."""
        stream = self._stream_of(agent)
        number = self._sent[stream] = self._sent.get(stream, agent.observed) + 1
        generated = pseudonym(self._ledger.log.pseudonym_key, "update", f"{stream}/{number}")
        update_id = str(update.get("update_id") or generated)
        body = msgspec.json.encode({**update, "update_id": update_id})
        return number, update_id, seal(body, self._ids.salt(), agent.worker)

    def _stream_of(self, agent: AgentRecord | OnboardingRecord) -> str:
        if isinstance(agent, AgentRecord):
            return streams.agent(self._run, agent.agent)
        return streams.onboarding_agent(self._run, agent.agent)

    def sent_in(self, history: Sequence[RecordedEvent]) -> Iterator[bytes]:
        """Read the updates that a page was sent, in order; erased ones are left out.

        Args:
            history: the recorded events of the agent.
        """
        for recorded in history:
            event = recorded.envelope.event
            if isinstance(event, AgentObserved | OnboardingObserved):
                body = self._ledger.log.payload(event.update)
                if body is not None:
                    yield body
