"""What task code says to a worker's page: recorded first, then sent."""

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
    """Records observations of agents, and numbers them."""

    def __init__(self, ledger: Ledger, ids: Ids) -> None:
        self._ledger = ledger
        self._ids = ids
        #: How many updates each stream has been sent, those under way included.
        self._sent: dict[str, int] = {}

    async def record(
        self,
        stream: str,
        recorded: int,
        worker: WorkerId,
        update: Update,
        event: type[AgentObserved] | type[OnboardingObserved],
    ) -> None:
        """Record an update; whoever follows the log sends it.

        Its `update_id` is made from stream and number, so that the same update always has the same.

        Args:
            stream: the agent's.
            recorded: how many the log has of it, for the first time that the stream is seen here.
            worker: whose page it is for.
            update: a JSON object.
            event: what is recorded.
        """
        number = self._sent[stream] = self._sent.get(stream, recorded) + 1
        made = pseudonym(self._ledger.log.pseudonym_key, "update", f"{stream}/{number}")
        update_id = str(update.get("update_id") or made)
        payload = seal(msgspec.json.encode({**update, "update_id": update_id}), self._ids.salt(), worker)
        observed = event(number=number, update_id=update_id, update=payload.ref)
        command = Command(
            self._ids.command_id(), "operator", lambda _: [NewEvent(stream, observed)], payloads=(payload,)
        )
        await self._ledger.execute(command)

    def sent_in(self, history: Sequence[RecordedEvent]) -> Iterator[bytes]:
        """What a page was sent, in order, by the history of its agent; what was erased since is left out."""
        for recorded in history:
            event = recorded.envelope.event
            if isinstance(event, AgentObserved | OnboardingObserved):
                body = self._ledger.log.payload(event.update)
                if body is not None:
                    yield body
