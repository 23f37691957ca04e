"""Replay of task code that now does at once what it did in turns, and must still send the same."""

import pytest
import trio
import trio.testing

from mephisto_es.core.abstractions.agent import Update
from mephisto_es.core.errors import TaskCodeDivergedError
from mephisto_es.core.operations.task_code.replayer import Exchange, TaskCodeReplayer

ANN, BOB = 1, 2


def said(agent: int, text: str) -> Exchange:
    return Exchange(agent, by_code=True, update={"text": text})


def heard(agent: int, text: str) -> Exchange:
    return Exchange(agent, by_code=False, update={"text": text})


async def test_what_is_not_its_turn_waits(autojump_clock: trio.testing.MockClock) -> None:
    delivered: list[tuple[int, Update]] = []
    lines = [heard(BOB, "b"), heard(ANN, "a"), said(ANN, "b"), said(BOB, "a"), said(BOB, "enough"), heard(ANN, "end")]
    replayer = TaskCodeReplayer(lines, lambda agent, update: delivered.append((agent, update)))

    async def pass_on_bob() -> None:
        assert await replayer.on_observe(ANN, {"text": "b"})
        assert await replayer.on_observe(BOB, {"text": "enough"})
        assert not await replayer.on_observe(BOB, {"text": "something new"})

    async def pass_on_ann() -> None:
        await trio.sleep(1)
        assert await replayer.on_observe(BOB, {"text": "a"})

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pass_on_bob)
        nursery.start_soon(pass_on_ann)
    assert replayer.caught_up
    assert [update["text"] for _, update in delivered] == ["b", "a", "end"]


async def test_what_is_new_waits_for_what_was_said_before(autojump_clock: trio.testing.MockClock) -> None:
    replayer = TaskCodeReplayer([said(BOB, "a")], lambda _, __: None)
    order: list[str] = []

    async def on_observe(text: str, after: float) -> None:
        await trio.sleep(after)
        order.append(f"{text} {await replayer.on_observe(BOB, {'text': text})}")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(on_observe, "new", 0)
        nursery.start_soon(on_observe, "a", 1)
    assert order == ["a True", "new False"]


async def test_what_never_comes_again_is_another_path(autojump_clock: trio.testing.MockClock) -> None:
    replayer = TaskCodeReplayer([said(BOB, "a"), said(BOB, "b")], lambda _, __: None)
    with pytest.raises(TaskCodeDivergedError, match=r"'b'.*'a'"):
        await replayer.on_observe(BOB, {"text": "b"})
