from __future__ import annotations

import ssl
from functools import partial

import pytest
import trio
import trustme
from trio.testing import MockClock
from trio_websocket import WebSocketRequest, serve_websocket

from mephisto_es.adapters.channels import connection
from mephisto_es.adapters.channels.dial import CONNECT_SECONDS, ConnectionFailedError
from mephisto_es.adapters.channels.websocket import FLUSH_SECONDS
from mephisto_es.core.abstractions.channel import Channel
from mephisto_es.core.errors import ProtocolError
from mephisto_es.core.packets import LiveUpdatePacket, ReturnStatuses, RouterState, UpdateStatus, UpdateStatusData

from .scripted_router import STATE, ChannelEvents, ScriptedRouter, serving

STATUSES = '{"packet_type":"return_statuses","subject_id":"mephisto","data":{"agent":"disconnect"}}'


def status(number: int) -> UpdateStatus:
    return UpdateStatus(subject_id=f"agent{number}", data=UpdateStatusData("waiting"))


def self_report(channel: Channel, events: ChannelEvents) -> None:
    channel.enqueue_send(status(events.opened))


async def test_the_greeting_comes_first_then_packets_go_both_ways() -> None:
    events = ChannelEvents()
    with trio.fail_after(120):
        async with serving(ScriptedRouter()) as router, trio.open_nursery() as nursery:
            channel = events.channel(router.port)
            assert not channel.is_alive()
            assert not channel.enqueue_send(status(0))
            await nursery.start(channel.open)
            assert channel.is_alive()
            assert events.opened == 1
            assert isinstance(await events.packets.receive(), RouterState)
            assert channel.enqueue_send(status(1))
            assert (await router.arrived.receive())["subject_id"] == "agent1"
            await router.sockets[0].send_message(STATUSES)
            received = await events.packets.receive()
            assert isinstance(received, ReturnStatuses)
            assert received.data == {"agent": "disconnect"}
            channel.close()
    assert channel.is_closed()
    assert not channel.is_alive()
    assert not channel.enqueue_send(status(2))
    assert events.given_up == []


async def test_a_channel_is_not_alive_before_the_router_has_answered_its_greeting() -> None:
    """Pages may have moved to that router, which has had no way to report them: nobody may take them for gone."""
    events, greeted, may_answer = ChannelEvents(), trio.Event(), trio.Event()

    async def answer_late(request: WebSocketRequest) -> None:
        socket = await request.accept()
        await socket.get_message()
        greeted.set()
        await may_answer.wait()
        await socket.send_message(STATE)
        await trio.sleep_forever()

    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            server = await nursery.start(serve_websocket, answer_late, "127.0.0.1", 0, None)
            channel = events.channel(server.port)
            nursery.start_soon(channel.open)
            await greeted.wait()
            assert not channel.is_alive()
            assert not channel.enqueue_send(status(0))
            may_answer.set()
            assert isinstance(await events.packets.receive(), RouterState)
            assert channel.is_alive()
            nursery.cancel_scope.cancel()


async def test_what_is_queued_together_goes_out_in_one_frame_and_in_order() -> None:
    events = ChannelEvents()
    with trio.fail_after(120):
        async with serving(ScriptedRouter()) as router, trio.open_nursery() as nursery:
            channel = events.channel(router.port)
            await nursery.start(channel.open)
            assert all(channel.enqueue_send(status(number)) for number in range(100))
            subjects = [(await router.arrived.receive())["subject_id"] for _ in range(100)]
            channel.close()
    assert subjects == [f"agent{number}" for number in range(100)]
    assert router.frame_sizes == [100]


async def test_a_frame_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "FRAME_LENGTH", 500)
    events = ChannelEvents()
    with trio.fail_after(120):
        async with serving(ScriptedRouter()) as router, trio.open_nursery() as nursery:
            channel = events.channel(router.port)
            await nursery.start(channel.open)
            for number in range(20):
                channel.enqueue_send(status(number))
            for _ in range(20):
                await router.arrived.receive()
            channel.close()
    assert len(router.frame_sizes) > 1


async def test_a_full_queue_ends_the_connection_and_the_next_one_begins_with_how_things_stand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "QUEUE_LIMIT", 1000)
    events = ChannelEvents()
    with trio.fail_after(120):
        async with serving(ScriptedRouter()) as router, trio.open_nursery() as nursery:
            channel = events.channel(router.port)

            def greet() -> None:
                # What a connection begins with may be long: there is as much of it as there is.
                for number in range(30):
                    assert channel.enqueue_send(status(number))

            events.when_open = greet
            await nursery.start(channel.open)
            for number in range(30):
                assert (await router.arrived.receive())["subject_id"] == f"agent{number}"
            taken = [channel.enqueue_send(status(100 + number)) for number in range(20)]
            assert taken[0]
            assert not taken[-1]
            assert not channel.enqueue_send(status(99))
            for number in range(30):
                assert (await router.arrived.receive())["subject_id"] == f"agent{number}"
            assert events.opened == 2
            channel.close()


async def test_close_sends_what_is_queued() -> None:
    events = ChannelEvents()
    with trio.fail_after(120):
        async with serving(ScriptedRouter()) as router:
            async with trio.open_nursery() as nursery:
                channel = events.channel(router.port)
                await nursery.start(channel.open)
                channel.enqueue_send(status(7))
                channel.close()
                channel.close()
            assert (await router.arrived.receive())["subject_id"] == "agent7"


@pytest.mark.parametrize(
    "bad",
    [
        "not JSON",
        '{"packet_type": "from_the_future", "data": {}}',
        '[{"packet_type": "submit_unit", "subject_id": "a"}]',
        '[{"packet_type": "return_statuses", "data": {"a": 1}}, 17]',
        "[",
        b"\xff\xfe",
    ],
)
async def test_what_does_not_decode_is_counted_and_skipped(bad: str | bytes) -> None:
    events = ChannelEvents()
    with trio.fail_after(120):
        async with serving(ScriptedRouter()) as router, trio.open_nursery() as nursery:
            channel = events.channel(router.port)
            await nursery.start(channel.open)
            await events.packets.receive()
            await router.sockets[0].send_message(bad)
            await router.sockets[0].send_message(STATUSES)
            assert isinstance(await events.packets.receive(), ReturnStatuses)
            channel.close()
    assert channel.undecodable >= 1
    assert events.opened == 1


async def test_a_bad_packet_does_not_take_the_others_of_its_frame_with_it() -> None:
    update = '{"packet_type":"mephisto_bound_live_update","subject_id":"a","seq":%d,"data":{"text":"hi"}}'
    events = ChannelEvents()
    frame = f'[{STATE},{update % 1},{{"seq":2}},{update % 3}]'
    with trio.fail_after(120):
        async with serving(ScriptedRouter(state=frame)) as router, trio.open_nursery() as nursery:
            channel = events.channel(router.port)
            await nursery.start(channel.open)
            await events.packets.receive()
            packets = [await events.packets.receive() for _ in range(2)]
            channel.close()
    assert [packet.seq for packet in packets if isinstance(packet, LiveUpdatePacket)] == [1, 3]
    assert channel.undecodable == 1


async def test_another_secret_is_refused_at_once_and_stays_unsaid() -> None:
    events = ChannelEvents()
    with trio.fail_after(120):
        async with serving(ScriptedRouter()) as router:
            channel = events.channel(router.port, secret="not the one")
            with pytest.raises(ProtocolError, match="another secret") as refusal:
                await channel.open()
    assert "not the one" not in str(refusal.value)
    assert channel.is_closed()
    assert events.opened == 0
    assert events.given_up == []


async def test_what_answers_otherwise_is_not_a_router() -> None:
    with trio.fail_after(120):
        async with serving(ScriptedRouter(state=STATUSES)) as router:
            with pytest.raises(ProtocolError, match="not a router of this version"):
                await ChannelEvents().channel(router.port).open()


async def test_an_unreachable_router_is_an_error_after_the_patience(quick_clock: MockClock) -> None:
    with trio.socket.socket() as unused:
        await unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        events = ChannelEvents()
        with pytest.raises(ProtocolError, match=f"127.0.0.1:{port}/ could not be reached"):
            await events.channel(port, patience_seconds=60).open()
        assert 60 <= trio.current_time() < 61
        assert events.given_up == []


async def test_a_router_that_never_answers_the_greeting_is_not_waited_for_for_ever(quick_clock: MockClock) -> None:
    with trio.fail_after(1000):
        async with serving(ScriptedRouter(state="")) as router:
            with pytest.raises(ProtocolError, match="did not answer the greeting"):
                await ChannelEvents().channel(router.port, patience_seconds=100).open()
            assert trio.current_time() < 100 + connection.GREETING_SECONDS + CONNECT_SECONDS


async def test_a_lost_connection_comes_back_with_an_empty_queue(quick_clock: MockClock) -> None:
    events = ChannelEvents()
    with trio.fail_after(600):
        async with serving(ScriptedRouter()) as router, trio.open_nursery() as nursery:
            channel = events.channel(router.port)
            events.when_open = lambda: self_report(channel, events)
            await nursery.start(channel.open)
            assert (await router.arrived.receive())["subject_id"] == "agent1"
            await router.drop()
            assert (await router.arrived.receive())["subject_id"] == "agent2"
            assert events.opened == 2
            states = [await events.packets.receive() for _ in range(2)]
            assert all(isinstance(packet, RouterState) for packet in states)
            channel.close()
    assert events.given_up == []


async def test_a_router_that_stays_away_is_given_up_once(quick_clock: MockClock) -> None:
    events = ChannelEvents()
    with trio.fail_after(1000):
        async with trio.open_nursery() as nursery:
            channel = events.channel(0, patience_seconds=120)
            async with serving(ScriptedRouter()) as router:
                channel = events.channel(router.port, patience_seconds=120)
                await nursery.start(channel.open)
                await trio.sleep(100)
                lost_at = trio.current_time()
        assert 120 <= trio.current_time() - lost_at < 125
    assert events.given_up == ["channel-1"]
    assert channel.is_closed()


async def test_a_router_is_not_given_up_while_others_serve_the_run(quick_clock: MockClock) -> None:
    events, is_backed = ChannelEvents(), True
    with trio.fail_after(10_000):
        async with trio.open_nursery() as nursery:
            async with serving(ScriptedRouter()) as router:
                channel = events.channel(router.port, patience_seconds=60, is_backed=lambda: is_backed)
                assert channel.outage() is None
                await nursery.start(channel.open)
                assert channel.outage() is None
            await trio.sleep(1000)
            assert events.given_up == []
            away = channel.outage()
            assert away is not None
            assert (away.server, 990 < away.seconds <= 1000) == (f"http://127.0.0.1:{router.port}", True)
            assert away.problem
            is_backed = False
    assert (events.given_up, channel.outage()) == (["channel-1"], None)


async def test_a_router_that_refuses_us_is_asked_again_while_others_serve_the_run(quick_clock: MockClock) -> None:
    events, refusals = ChannelEvents(), [ProtocolError("it serves another run"), ConnectionFailedError("it is away")]

    async def prepare() -> None:
        await trio.lowlevel.checkpoint()
        if refusals:
            raise refusals.pop()

    with trio.fail_after(1000):
        async with serving(ScriptedRouter()) as router, trio.open_nursery() as nursery:
            with pytest.raises(ProtocolError, match="another run"):
                await events.channel(router.port, prepare=prepare).open()
            refusals.append(ProtocolError("it serves another run"))
            channel = events.channel(router.port, prepare=prepare, is_backed=lambda: True)
            await nursery.start(channel.open)
            assert refusals == []
            channel.close()
    assert events.opened == 1


async def test_a_connection_that_never_lasts_uses_up_the_patience(quick_clock: MockClock) -> None:
    events = ChannelEvents()
    with trio.fail_after(1000):
        async with serving(ScriptedRouter()) as router, trio.open_nursery() as nursery:
            channel = events.channel(router.port, patience_seconds=60)
            events.when_open = lambda: nursery.start_soon(router.drop)
            await nursery.start(channel.open)
    assert events.given_up == ["channel-1"]
    assert events.opened > 3


async def test_a_connection_that_falls_silent_is_noticed(quick_clock: MockClock) -> None:
    """A proxy that holds both sides open and passes nothing on: no FIN, no RST."""
    is_cut = False

    async def relay(client: trio.SocketStream) -> None:
        async with await trio.open_tcp_stream("127.0.0.1", router.port) as server, trio.open_nursery() as directions:
            directions.start_soon(pump, client, server)
            directions.start_soon(pump, server, client)

    async def pump(source: trio.SocketStream, target: trio.SocketStream) -> None:
        try:
            async for piece in source:
                if is_cut:
                    await trio.sleep_forever()
                await target.send_all(piece)
        except trio.BrokenResourceError:
            pass

    events = ChannelEvents()
    with trio.fail_after(600):
        async with serving(ScriptedRouter()) as router, trio.open_nursery() as nursery:
            [listener] = await nursery.start(partial(trio.serve_tcp, relay, 0, host="127.0.0.1"))
            channel = events.channel(listener.socket.getsockname()[1])
            await nursery.start(channel.open)
            await trio.sleep(300)
            assert events.opened == 1  # an idle connection is left in peace
            is_cut = True
            await trio.sleep(connection.PING_INTERVAL_SECONDS + connection.PING_TIMEOUT_SECONDS + 2)
            assert not channel.is_alive()
            is_cut = False
            await trio.sleep(60)
            assert events.opened == 2
            nursery.cancel_scope.cancel()


async def test_a_slow_owner_is_not_taken_for_a_dead_router(quick_clock: MockClock) -> None:
    class SlowEars(ChannelEvents):
        async def on_message(self, channel_id: str, packet: object) -> None:
            if isinstance(packet, ReturnStatuses):
                await trio.sleep(100)
                nursery.cancel_scope.cancel()

    events = SlowEars()
    with trio.fail_after(600):
        async with serving(ScriptedRouter()) as router, trio.open_nursery() as nursery:
            await nursery.start(events.channel(router.port).open)
            for _ in range(100):
                await router.sockets[0].send_message(STATUSES)
    assert events.opened == 1


async def test_close_while_it_waits_to_connect_again(quick_clock: MockClock) -> None:
    events = ChannelEvents()
    with trio.fail_after(1000):
        async with trio.open_nursery() as nursery:
            async with serving(ScriptedRouter()) as router:
                channel = events.channel(router.port)
                await nursery.start(channel.open)
            await trio.sleep(5)
            assert not channel.is_alive()
            assert not channel.is_closed()
            channel.close()
    assert events.given_up == []


async def test_close_does_not_wait_long_for_an_owner_that_is_busy(quick_clock: MockClock) -> None:
    class BusyEars(ChannelEvents):
        async def on_message(self, channel_id: str, packet: object) -> None:
            if isinstance(packet, ReturnStatuses):
                await trio.sleep_forever()

    with trio.fail_after(1000):
        async with serving(ScriptedRouter()) as router, trio.open_nursery() as nursery:
            channel = BusyEars().channel(router.port)
            await nursery.start(channel.open)
            await router.sockets[0].send_message(STATUSES)
            await trio.sleep(1)
            closed_at = trio.current_time()
            channel.close()
        assert trio.current_time() - closed_at < 2 * FLUSH_SECONDS + 1


async def test_what_the_owner_raises_ends_the_channel() -> None:
    class Broken(ChannelEvents):
        async def on_message(self, channel_id: str, packet: object) -> None:
            if isinstance(packet, ReturnStatuses):
                raise LookupError("the owner's own fault")

    with trio.fail_after(120):
        async with serving(ScriptedRouter()) as router:
            channel = Broken().channel(router.port)
            with pytest.raises(BaseExceptionGroup) as raised:  # noqa: PT012 - the error comes through the nursery
                async with trio.open_nursery() as nursery:
                    await nursery.start(channel.open)
                    await router.sockets[0].send_message(STATUSES)
    assert raised.group_contains(LookupError)
    assert channel.is_closed()


async def test_wss_trusts_whom_it_is_told_to() -> None:
    authority = trustme.CA()
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(served)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    events = ChannelEvents()
    with trio.fail_after(120):
        async with serving(ScriptedRouter(), served) as router, trio.open_nursery() as nursery:
            channel = events.channel(router.port, scheme="wss", ssl_context=trusting)
            await nursery.start(channel.open)
            channel.enqueue_send(status(1))
            assert (await router.arrived.receive())["subject_id"] == "agent1"
            channel.close()
            with pytest.raises(ProtocolError, match=r"could not be reached: .*certificate"):
                await ChannelEvents().channel(router.port, scheme="wss", patience_seconds=0).open()


async def test_large_batches_arrive_whole() -> None:
    events = ChannelEvents()
    batch = f"[{','.join([STATUSES] * 1000)}]"
    with trio.fail_after(120):
        async with serving(ScriptedRouter()) as router, trio.open_nursery() as nursery:
            channel = events.channel(router.port)
            await nursery.start(channel.open)
            for _ in range(10):
                await router.sockets[0].send_message(batch)
            for _ in range(10_001):
                await events.packets.receive()
            channel.close()
    assert channel.undecodable == 0
