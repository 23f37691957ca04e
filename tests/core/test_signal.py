"""A signal wakes everybody who waits, once for each notification."""

from __future__ import annotations

import trio
import trio.testing

from mephisto_es.core.signal import Signal


async def test_a_notification_wakes_all_that_wait_and_nobody_later(autojump_clock: trio.testing.MockClock) -> None:
    signal, woken = Signal(), []

    async def wait(name: str) -> None:
        await signal.wait()
        woken.append(name)

    async with trio.open_nursery() as nursery:
        for name in ("ann", "bob"):
            nursery.start_soon(wait, name)
        await trio.testing.wait_all_tasks_blocked()
        signal.notify()
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(woken) == ["ann", "bob"]
        nursery.start_soon(wait, "cleo")
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(woken) == ["ann", "bob"]
        signal.notify()
    assert woken[-1] == "cleo"


async def test_a_notification_before_the_wait_is_not_missed_by_who_took_the_event_first() -> None:
    signal = Signal()
    signal.notify()  # nobody waits: forgotten
    event = signal.next_event()
    assert signal.next_event() is event
    assert not event.is_set()
    signal.notify()
    assert event.is_set()
    assert not signal.next_event().is_set()


async def test_a_cancelled_wait_leaves_the_others_waiting(autojump_clock: trio.testing.MockClock) -> None:
    signal = Signal()
    with trio.move_on_after(1) as scope:
        await signal.wait()
    assert scope.cancelled_caught
    async with trio.open_nursery() as nursery:
        nursery.start_soon(signal.wait)
        await trio.testing.wait_all_tasks_blocked()
        signal.notify()
