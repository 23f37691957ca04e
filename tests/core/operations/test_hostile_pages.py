"""Hostile packets from a page, which affect at most the page's own agent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from mephisto_es.adapters.architects.memory.router import MemoryPageSocket, MemoryRouter
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.abstractions.agent import Agent, Unit
from mephisto_es.core.abstractions.task_runner import LiveTaskRunner, TaskRunner
from mephisto_es.core.errors import ProtocolError
from mephisto_es.core.operations.client_io_handler import MAX_NOTICES
from mephisto_es.core.operations.texts.catalogue import texts_of
from mephisto_es.core.packets import decode_packet, split_frame

from .operator_harness import HarnessTaskState, ask, items, open_harness, page_of


class Attentive(TaskRunner):
    """Waits for one update before the submission."""

    async def run_unit(self, unit: Unit, agent: Agent) -> None:
        await agent.get_live_update()
        await agent.await_submit()


#: JSON that can be passed on unread: a number that no float holds, and lists in lists to about what a stack holds.
UNREADABLE = {
    "a number out of range": b"1e999",
    "an integer of 5000 digits": b"1" * 5000,
    "900 lists": b"[" * 900 + b"]" * 900,
    "930 lists": b"[" * 930 + b"]" * 930,
}


def send_as_it_is(router: MemoryRouter, packet_type: str, token: str, data: bytes) -> None:
    """Make the router forward a packet that a strict router would have refused."""
    seq = router._seq = router._seq + 1
    packet = {"packet_type": packet_type, "subject_id": token, "seq": seq, "data": msgspec.Raw(data)}
    assert router._channel is not None
    router._channel.put(msgspec.json.encode(packet).decode())


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
async def test_an_update_that_cannot_be_read_hurts_nobody(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, text: bytes
) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(2), runner=Attentive))
        router = harness.router(live_run)
        ann, bob = await ask(router, "ann"), await ask(router, "bob")
        send_as_it_is(router, "mephisto_bound_live_update", ann["agent_id"], b'{"text":%b}' % text)
        await trio.sleep(1)
        for worker in (ann, bob):
            router.send_live_update(worker["agent_id"], {"text": "hello", "update_id": "1"})
            router.submit_task(worker["agent_id"], {})
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert harness.statuses("unit") == {"completed": 2}


async def test_a_request_with_another_workers_registration_gets_nothing(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(2), runner=Attentive))
        router = harness.router(live_run)
        ann = await ask(router, "ann")
        stolen = await router.request_agent({**page_of("ann"), "worker_name": "eve"})
        assert (stolen["agent_id"], stolen["init_task_data"]) == (None, None)
        assert "already completed this task" in stolen["failure_reason"]
        assert live_run.worker_pool.impersonations == 1
        assert (await ask(router, "ann"))["agent_id"] == ann["agent_id"]
        # Of two who ask at once with the same registration, one gets an agent.
        asked: list[object] = []

        async def ask_as(worker: str) -> None:
            asked.append((await router.request_agent({**page_of("bob"), "worker_name": worker}))["agent_id"])

        async with trio.open_nursery() as nursery:
            for worker in ("bob", "eve"):
                nursery.start_soon(ask_as, worker)
        [token] = [agent for agent in asked if agent is not None]
        assert token != ann["agent_id"]
        for agent in (ann["agent_id"], str(token)):
            router.submit_task(agent, {})
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert harness.statuses("unit") == {"completed": 2}


@pytest.mark.parametrize("name", ["", " ", "\x00", "a\nb", "\x1b[31mred", "\x85", "x" * 256, 7, None])
async def test_a_name_that_is_none_gets_nothing(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, name: object
) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1)))
        router = harness.router(live_run)
        for field in ("worker_name", "agent_registration_id"):
            assert (await router.request_agent({**page_of("ann"), field: name}))["agent_id"] is None
        assert live_run.client_io.dropped == {"request without the data of a provider": 2}
        longest = "ü" * 255
        details = await router.request_agent({"worker_name": longest, "agent_registration_id": longest})
        router.submit_task(details["agent_id"], {})
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
async def test_a_submission_that_cannot_be_read_hurts_nobody(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, text: bytes
) -> None:
    told: list[object] = []

    async def on_unit_submitted(unit: Unit) -> None:
        agent = unit.get_assigned_agent()
        told.append(agent and agent.state.outputs)

    async with open_harness(tmp_path) as harness:
        shared = HarnessTaskState(data=items(2), on_unit_submitted=on_unit_submitted)
        live_run = await harness.launch(shared, assignment_duration_in_seconds=60)
        router = harness.router(live_run)
        ann, bob = await ask(router, "ann"), await ask(router, "bob")
        send_as_it_is(router, "submit_unit", ann["agent_id"], b'{"final_data":%b}' % text)
        await trio.sleep(1)
        router.submit_task(bob["agent_id"], {"by": "bob"})
        router.submit_task(ann["agent_id"], {"by": "ann"})
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        assert {"by": "bob"} in told
        assert harness.statuses("unit") == {"completed": 2}


def test_lists_in_lists_beyond_any_stack_are_no_packet() -> None:
    packet = b'{"packet_type":"log_error","data":%b}' % (b"[" * 20_000 + b"]" * 20_000)
    with pytest.raises(ProtocolError, match="not a packet of a router"):
        decode_packet(packet)
    with pytest.raises(ProtocolError, match="not a frame of packets"):
        split_frame(b"[%b]" % packet)


class Chatty(LiveTaskRunner):
    """Listens until the page submits."""

    async def run_unit(self, unit: Unit, agent: Agent) -> None:
        while await agent.get_live_update() is not None:
            pass


@pytest.mark.parametrize(
    ("limit", "value", "sent"),
    [
        ("max_live_updates", 3, 3),
        ("max_live_update_bytes", 140, 3),
        ("max_live_updates_in_run", 5, 2),
        ("max_live_update_bytes_in_run", 230, 2),
    ],
)
async def test_live_updates_are_limited_and_the_page_is_told(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, limit: str, value: int, sent: int
) -> None:
    log = MemoryLog()
    for start in range(2):
        async with open_harness(tmp_path, log) as harness:
            shared = HarnessTaskState(data=items(2), runner=Chatty)
            live_run = await harness.launch(shared, resume_incomplete_run=bool(start), language="de", **{limit: value})
            router = harness.router(live_run)
            ann, bob = [(await ask(router, worker))["agent_id"] for worker in ("ann", "bob")]
            page = router.connect(ann)
            for number in range(3):
                for token in (bob, ann) if start == 0 else (ann,):
                    router.send_live_update(token, {"text": "x" * 10, "update_id": f"{start}-{number}"})
            for number in range(2 * MAX_NOTICES):
                router.send_live_update(ann, {"request_id": f"r{number}", "update_id": f"{start}-call-{number}"})
            await trio.testing.wait_all_tasks_blocked()
            past = (await ask(router, "ann"))["init_task_data"]["past_live_updates"]
            assert len([line for line in past if "text" in line]) == sent
            told = [packet["data"] for packet in await received(page) if "text" in packet["data"]]
            assert len(told) == MAX_NOTICES
            assert len({notice["update_id"] for notice in told}) == MAX_NOTICES
            assert {notice["text"] for notice in told} == {texts_of("de")["router.no_more_messages"]}
            assert "error" not in told[0] or sent == 3
            assert told[-1]["error"] == told[0]["text"]
            assert told[-1]["handles"].startswith("r")
            [(reason, _)] = live_run.client_io.dropped.items()
            assert reason == "more live updates than a page may send"
            if start == 1:
                for token in (ann, bob):
                    router.submit_task(token, {})
                await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
                assert harness.statuses("unit") == {"completed": 2}


async def received(page: MemoryPageSocket) -> list[Any]:
    """Return all packets that a page has got."""
    packets: list[Any] = []
    with trio.move_on_after(1):
        while True:
            packets.append(await page.receive())
    return packets
