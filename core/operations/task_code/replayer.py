"""Replays recorded messages to task code after a restart, until it has caught up.

Recorded messages come to the code in the order of the log: an update from a page is delivered once the code has sent
everything again that it had sent before that update. What the code sends again is compared with the record, and not
sent to the page twice. After the last recorded message the code is live.

Code that does several things at once may send messages in another order than before, because nothing takes its time
any more: a message whose turn has not come waits for the others. If they do not come, the code has taken another path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec
import trio

from ....events.agent import AgentObserved, AgentUpdateReceived
from ....events.base import PayloadRef
from ....events.envelope import RecordedEvent
from ....events.onboarding import OnboardingObserved, OnboardingUpdateReceived
from ...abstractions.agent import Update
from ...errors import TaskCodeDivergedError
from ...signal import Signal

#: Seconds for which a message waits for its turn.
TURN_SECONDS = 10.0

_FROM_PAGE = AgentUpdateReceived | OnboardingUpdateReceived
_FROM_CODE = AgentObserved | OnboardingObserved

_decode = msgspec.json.Decoder(dict[str, object]).decode


class Exchange(NamedTuple):
    """A recorded message between task code and a page."""

    agent: int
    #: True if task code sent it, False if the page did.
    by_code: bool
    #: The message; None if it was erased, and nothing can be compared with it.
    update: Update | None


class TaskCodeReplayer:
    """The recorded messages of the agents of one unit or assignment."""

    def __init__(
        self,
        exchanges: Iterable[Exchange],
        deliver: Callable[[int, Update], None],
        on_caught_up: Callable[[], None] = lambda: None,
    ) -> None:
        """Deliver what pages sent before the code sent anything.

        Args:
            exchanges: the recorded messages, in the order of the log.
            deliver: delivers an update from a page to the code.
            on_caught_up: called once the code is where it was.
        """
        self._exchanges = list(exchanges)
        self._deliver = deliver
        self._on_caught_up = on_caught_up
        #: Positions that the code has sent again.
        self._sent_again: set[int] = set()
        self._next = 0
        self._progress = Signal()
        self._advance()

    @property
    def caught_up(self) -> bool:
        """True once the code is where it was."""
        return self._next == len(self._exchanges)

    def buffer(self, agent: int, update: Update) -> None:
        """Append a new update from a page, which arrived during the replay."""
        self._exchanges.append(Exchange(agent, by_code=False, update=update))
        self._advance()

    async def on_observe(self, agent: int, update: Update) -> bool:
        """Compare a message that the code sends with the record; on cancellation it counts as not sent.

        Returns:
            True if it was sent before the restart, and must not be sent again.

        Raises:
            TaskCodeDivergedError: the code sent another message before the restart.
        """
        recorded: Update | None = None
        with trio.move_on_after(TURN_SECONDS):
            while (position := self._next_from_code(agent)) is not None:
                recorded = self._exchanges[position].update
                if recorded is None or _comparable(recorded) == _comparable(update):
                    self._sent_again.add(position)
                    self._advance()
                    return True
                await self._progress.wait()
            return False
        raise TaskCodeDivergedError(agent, was=repr(_comparable(recorded or {})), now=repr(_comparable(update)))

    def _next_from_code(self, agent: int) -> int | None:
        """Return the position of the first message to an agent that the code has not sent again."""
        for position in range(self._next, len(self._exchanges)):
            exchange = self._exchanges[position]
            if exchange.by_code and exchange.agent == agent and position not in self._sent_again:
                return position
        return None

    def _advance(self) -> None:
        self._progress.notify()
        while self._next < len(self._exchanges):
            exchange = self._exchanges[self._next]
            if exchange.by_code and self._next not in self._sent_again:
                return
            self._next += 1
            if not exchange.by_code and exchange.update is not None:
                self._deliver(exchange.agent, exchange.update)
        self._on_caught_up()


def recorded_exchanges(
    histories: Iterable[tuple[int, Iterable[RecordedEvent]]], payload: Callable[[PayloadRef], bytes | None]
) -> list[Exchange]:
    """Return the recorded messages of some agents, in the order of the log.

    Args:
        histories: the recorded events of each agent.
        payload: reads the payloads that the events refer to.
    """
    exchanges: list[tuple[int, Exchange]] = []
    for agent, history in histories:
        for seq, envelope in history:
            event = envelope.event
            if isinstance(event, _FROM_PAGE | _FROM_CODE):
                body = payload(event.update)
                update = None if body is None else _decode(body)
                exchanges.append((seq, Exchange(agent, isinstance(event, _FROM_CODE), update)))
    return [exchange for _, exchange in sorted(exchanges, key=lambda pair: pair[0])]


def _comparable(update: Update) -> Update:
    """Return an update as it is after a way through JSON, without the generated id."""
    plain: Update = msgspec.json.decode(msgspec.json.encode(update))
    plain.pop("update_id", None)
    return plain
