"""Task code that is started again may do at once what took turns before, and must still say the same."""

import pytest
import trio
import trio.testing

from mephisto_es.core.abstractions.agent import Update
from mephisto_es.core.errors import TaskCodeDiverged
from mephisto_es.core.operations.task_code.replayer import Line, Rehearsal

ANN, BOB = 1, 2


def said(agent: int, text: str) -> Line:
    return Line(agent, by_code=True, update={"text": text})


def heard(agent: int, text: str) -> Line:
    return Line(agent, by_code=False, update={"text": text})


async def test_what_is_not_its_turn_waits(autojump_clock: trio.testing.MockClock) -> None:
    delivered: list[tuple[int, Update]] = []
    lines = [heard(BOB, "b"), heard(ANN, "a"), said(ANN, "b"), said(BOB, "a"), said(BOB, "enough"), heard(ANN, "end")]
    rehearsal = Rehearsal(lines, lambda agent, update: delivered.append((agent, update)))

    async def pass_on_bob() -> None:
        assert await rehearsal.say(ANN, {"text": "b"})
        assert await rehearsal.say(BOB, {"text": "enough"})
        assert not await rehearsal.say(BOB, {"text": "something new"})

    async def pass_on_ann() -> None:
        await trio.sleep(1)
        assert await rehearsal.say(BOB, {"text": "a"})

    async with trio.open_nursery() as nursery:
        nursery.start_soon(pass_on_bob)
        nursery.start_soon(pass_on_ann)
    assert rehearsal.is_over
    assert [update["text"] for _, update in delivered] == ["b", "a", "end"]


async def test_what_is_new_waits_for_what_was_said_before(autojump_clock: trio.testing.MockClock) -> None:
    rehearsal = Rehearsal([said(BOB, "a")], lambda _, __: None)
    order: list[str] = []

    async def say(text: str, after: float) -> None:
        await trio.sleep(after)
        order.append(f"{text} {await rehearsal.say(BOB, {'text': text})}")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(say, "new", 0)
        nursery.start_soon(say, "a", 1)
    assert order == ["a True", "new False"]


async def test_what_never_comes_again_is_another_path(autojump_clock: trio.testing.MockClock) -> None:
    rehearsal = Rehearsal([said(BOB, "a"), said(BOB, "b")], lambda _, __: None)
    with pytest.raises(TaskCodeDiverged, match=r"'b'.*'a'"):
        await rehearsal.say(BOB, {"text": "b"})
