"""What bodies that give way leave behind, and how fast those of strangers arrive."""

import anyio
import pytest
import trio
import trio.testing

from mephisto_es.adapters.architects.router.python.errors import RefusalError
from mephisto_es.adapters.architects.router.python.http.body_pool import BodyPool, PoolLimit, Resource
from mephisto_es.adapters.architects.router.python.http.client_address import ClientAddress, KnownAddresses
from mephisto_es.adapters.architects.router.python.http.throttle import BURST_BYTES, BYTES_PER_SECOND, Throttle

LOCAL = ClientAddress("127.0.0.1")


def test_a_body_that_gave_way_holds_nothing_any_more() -> None:
    """A piece of it was being written when it had to give way, and what that held stayed taken for ever."""
    now = [0.0]
    pool = BodyPool({Resource.MEMORY: PoolLimit(10, 10)}, KnownAddresses(0), lambda _: None, lambda: now[0])
    slow = pool.open(LOCAL, lambda: None)
    slow.hold(Resource.MEMORY, 6)
    now[0] = 1.0
    with pool.open(LOCAL, lambda: None) as newest:
        newest.hold(Resource.MEMORY, 10)
    assert slow.is_evicted
    with pytest.raises(RefusalError):
        slow.hold(Resource.MEMORY, 6)
    pool.close(slow)
    with pool.open(LOCAL, lambda: None) as later:
        later.hold(Resource.MEMORY, 10)


async def test_strangers_have_their_turns_in_order_and_no_more_than_the_rate(autojump_clock: trio.abc.Clock) -> None:
    throttle, arrived = Throttle(trio.current_time), list[tuple[str, float]]()
    began = trio.current_time()

    async def send(name: str, size: int) -> None:
        await throttle.take(size)
        arrived.append((name, trio.current_time() - began))

    async with trio.open_nursery() as nursery:
        for name, size in (("first", BURST_BYTES), ("second", 2 * BYTES_PER_SECOND), ("third", 1), ("fourth", 1)):
            nursery.start_soon(send, name, size)
            await trio.testing.wait_all_tasks_blocked()
    assert [name for name, _ in arrived] == ["first", "second", "third", "fourth"]
    assert [seconds for _, seconds in arrived] == pytest.approx([0, 0, 2, 2], abs=0.01)


async def test_who_gives_up_takes_nothing(autojump_clock: trio.abc.Clock) -> None:
    throttle = Throttle(trio.current_time)
    await throttle.take(BURST_BYTES + BYTES_PER_SECOND)
    with anyio.move_on_after(0.5) as waiting:
        await throttle.take(100 * BYTES_PER_SECOND)
    assert waiting.cancelled_caught
    began = trio.current_time()
    await throttle.take(1)
    assert trio.current_time() - began == pytest.approx(0.5, abs=0.01)
