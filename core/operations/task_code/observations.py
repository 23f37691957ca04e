"""Records the updates that task code sends to workers' pages; they are sent once they are durable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from ....events.agent import AgentObserved
from ....events.envelope import RecordedEvent
from ....events.ids import WorkerId
from ....events.onboarding import OnboardingObserved
from ...abstractions.agent import Update
from ...ledger import Command, Ledger
from ...payloads import pseudonym, seal
from ...ports import Ids, NewEvent


class Observations:
    """Numbers and records updates to pages."""

    def __init__(self, ledger: Ledger, ids: Ids) -> None:
        self._ledger = ledger
        self._ids = ids
        #: Number of updates per stream, including those that are not durable yet.
        self._sent: dict[str, int] = {}

    async def record(
        self,
        stream: str,
        recorded: int,
        worker: WorkerId,
        update: Update,
        event: type[AgentObserved] | type[OnboardingObserved],
    ) -> None:
        """Record an update to a page; returns once it is durable.

        Without an `update_id`, the update gets one that is derived from stream and number, so it is always the same.

        Args:
            stream: stream of the agent.
            recorded: number of updates that the log has of the stream; read for a stream's first update here.
            worker: the worker whose page it is.
            update: a JSON object.
            event: type of the event.
        """
        number = self._sent[stream] = self._sent.get(stream, recorded) + 1
        generated = pseudonym(self._ledger.log.pseudonym_key, "update", f"{stream}/{number}")
        update_id = str(update.get("update_id") or generated)
        payload = seal(msgspec.json.encode({**update, "update_id": update_id}), self._ids.salt(), worker)
        observed = event(number=number, update_id=update_id, update=payload.ref)
        command = Command(
            self._ids.command_id(), "operator", lambda _: [NewEvent(stream, observed)], payloads=(payload,)
        )
        await self._ledger.execute(command)

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
