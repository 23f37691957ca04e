"""Task code that is started again is led through what it said and heard before, until it is where it was.

What was recorded comes to it in the order of the log: an update from a page is handed over once everything that the
code had said before that update has been said again. What it says again is compared with the record and not sent
twice. After the last line it is live.

Code that does several things at once may say them in another order than before, as nothing takes its time any more:
what is not its turn yet waits for the rest. If that does not come, the code has taken another path.
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

#: How long something that does not come next in the record waits for what does.
TURN_SECONDS = 10.0

_HEARD = AgentUpdateReceived | OnboardingUpdateReceived
_SAID = AgentObserved | OnboardingObserved

_decode = msgspec.json.Decoder(dict[str, object])


class Exchange(NamedTuple):
    """Something that was said between task code and a page."""

    agent: int
    #: Whether the task's code said it; otherwise the page did.
    by_code: bool
    #: None: it was erased, so that nothing can be compared with it.
    update: Update | None


class TaskCodeReplayer:
    """The recorded talk of the agents of one unit or assignment."""

    def __init__(
        self,
        lines: Iterable[Exchange],
        deliver: Callable[[int, Update], None],
        on_over: Callable[[], None] = lambda: None,
    ) -> None:
        """Hand over what pages said first of all.

        Args:
            lines: what was recorded, in the order of the log.
            deliver: hands an update from a page to the code.
            on_over: called once the code is where it was.
        """
        self._lines = list(lines)
        self._deliver = deliver
        self._on_over = on_over
        self._said_again: set[int] = set()
        self._next = 0
        self._progress = Signal()
        self._go_on()

    @property
    def caught_up(self) -> bool:
        """Whether the code is where it was."""
        return self._next == len(self._lines)

    def buffer(self, agent: int, update: Update) -> None:
        """A page said something new while the record is still being gone through: it comes after it."""
        self._lines.append(Exchange(agent, by_code=False, update=update))
        self._go_on()

    async def on_observe(self, agent: int, update: Update) -> bool:
        """The code says something to a page. Cancelled, it has said nothing.

        Returns:
            Whether that was said before the restart, so that it is not to be sent.

        Raises:
            TaskCodeDivergedError: it said something else before.
        """
        was: Update | None = None
        with trio.move_on_after(TURN_SECONDS):
            while (number := self._first_unsaid(agent)) is not None:
                was = self._lines[number].update
                if was is None or _plain(was) == _plain(update):
                    self._said_again.add(number)
                    self._go_on()
                    return True
                await self._progress.wait()
            return False
        raise TaskCodeDivergedError(agent, was=repr(_plain(was or {})), now=repr(_plain(update)))

    def _first_unsaid(self, agent: int) -> int | None:
        """The first line that the code has said to an agent before, and not again."""
        for number in range(self._next, len(self._lines)):
            line = self._lines[number]
            if line.by_code and line.agent == agent and number not in self._said_again:
                return number
        return None

    def _go_on(self) -> None:
        self._progress.notify()
        while self._next < len(self._lines):
            line = self._lines[self._next]
            if line.by_code and self._next not in self._said_again:
                return
            self._next += 1
            if not line.by_code and line.update is not None:
                self._deliver(line.agent, line.update)
        self._on_over()


def recorded_lines(
    histories: Iterable[tuple[int, Iterable[RecordedEvent]]], payload: Callable[[PayloadRef], bytes | None]
) -> list[Exchange]:
    """The talk of some agents, in the order of the log.

    Args:
        histories: the recorded events of each agent.
        payload: reads what they refer to.
    """
    said: list[tuple[int, Exchange]] = []
    for agent, history in histories:
        for seq, envelope in history:
            event = envelope.event
            if isinstance(event, _HEARD | _SAID):
                body = payload(event.update)
                update = None if body is None else _decode.decode(body)
                said.append((seq, Exchange(agent, isinstance(event, _SAID), update)))
    return [line for _, line in sorted(said, key=lambda one: one[0])]


def _plain(update: Update) -> Update:
    """An update as it is after a way through JSON, without the id that is made for it."""
    plain: Update = msgspec.json.decode(msgspec.json.encode(update))
    plain.pop("update_id", None)
    return plain
