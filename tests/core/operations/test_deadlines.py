"""Deadlines are kept, those that are cancelled are not, and they do not pile up."""

from __future__ import annotations

from functools import partial

import pytest
import trio
import trio.lowlevel

from mephisto_es.core.operations.task_code.deadlines import MOST_CANCELLED, Deadlines, paused_us
from mephisto_es.events.catalogue import AnyEvent
from mephisto_es.events.envelope import Envelope, RecordedEvent
from mephisto_es.events.task_run import TaskRunPaused, TaskRunRecovering

SECOND = 1_000_000


class TrioTime:
    """A wall clock that goes with trio's."""

    def now_us(self) -> int:
        return int(trio.current_time() * SECOND)


async def test_functions_are_called_in_the_order_of_their_deadlines(autojump_clock: trio.testing.MockClock) -> None:
    clock = TrioTime()
    deadlines, called, start = Deadlines(clock), list[str](), clock.now_us()
    deadlines.set(start + 3 * SECOND, partial(called.append, "late"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(deadlines.run)
        await trio.lowlevel.checkpoint()
        deadlines.set(start + SECOND, partial(called.append, "early"))
        dropped = deadlines.set(start + SECOND, partial(called.append, "cancelled"))
        deadlines.set(start + SECOND, partial(called.append, "early too"))
        deadlines.cancel(dropped)
        await trio.sleep(2)
        assert called == ["early", "early too"]
        deadlines.cancel(dropped)
        deadlines.set_from(start + 1000 * SECOND, 5, partial(called.append, "from now on"))
        await trio.sleep(4)
        assert called == ["early", "early too", "late"]
        await trio.sleep(2)
        assert called == ["early", "early too", "late", "from now on"]
        nursery.cancel_scope.cancel()


def test_cancelled_deadlines_do_not_pile_up() -> None:
    class Stopped:
        def now_us(self) -> int:
            return 0

    deadlines = Deadlines(Stopped())
    live = [deadlines.set(number, lambda: None) for number in range(10)]
    for number in range(10_000):
        deadlines.cancel(deadlines.set(number, lambda: None))
        assert len(deadlines) <= 2 * len(live) + MOST_CANCELLED + 1
    assert deadlines.seconds_until(1) == 1


def run_history(*events: tuple[int, AnyEvent]) -> list[RecordedEvent]:
    """Return the events of a run at their times."""
    return [
        RecordedEvent(
            number,
            Envelope(
                stream="task_run/1", version=number, at=at, command=f"c{number}", ordinal=0, actor="me", event=event
            ),
        )
        for number, (at, event) in enumerate(events, start=1)
    ]


@pytest.mark.parametrize(
    ("since", "until", "paused"),
    [
        (0, None, 30),
        (15, None, 25),
        (0, 5, 0),
        (0, 15, 5),
        (15, 18, 3),
        (0, 30, 10),
        (0, 50, 20),
        (0, 90, 50),
        (25, 28, 0),
    ],
)
def test_pauses_count_between_two_moments(since: int, until: int | None, paused: int) -> None:
    """Work that had ended before a pause was paid for less time when its operator died before it could pay."""
    pause, back = TaskRunPaused(reason="lunch"), TaskRunRecovering(reason="back")
    # A run that is paused again, and has not been resumed.
    history = run_history((10, pause), (20, back), (40, pause), (60, back), (70, pause))
    assert paused_us(history, since, until) == paused
