"""Describes the workers of a simulated crowd: what they answer, and their habits, drawn from a seed."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import msgspec

#: The ratio between the slowest worker and the typical one, and between the typical one and the fastest.
SPEED_RANGE = 2.0
#: A worker who returns a unit does so among the first few, so that small runs see it too.
RETURNS_BY_UNIT = 2

#: `answer(unit_data, rng)` returns the work for a unit's data. It draws from `rng` alone, so that a seed repeats it.
Answer = Callable[[Any, Random], object]
#: `reply(update, rng)` returns what a worker sends after a live update of the task's code; None if that is nothing.
Reply = Callable[[dict[str, Any], Random], dict[str, object] | None]


class BotFile(msgspec.Struct, frozen=True):
    """A file that a bot uploads: a value, or an item of a list, in its answer."""

    name: str
    content: bytes
    media_type: str = "application/octet-stream"


def succeed(_onboarding_data: Any, _rng: Random) -> object:
    """Answer an onboarding with the success that the stock page submits."""
    return {"success": True}


def speak_in_turn(update: dict[str, Any], rng: Random) -> dict[str, object] | None:
    """Reply with a short text to an update that gives the worker its turn."""
    task_data = update.get("task_data")
    asked = isinstance(task_data, dict) and bool(task_data.get("live_update_requested"))
    return {"text": f"Message {rng.randrange(1000)}"} if asked or update.get("your_turn") else None


@dataclass(frozen=True, kw_only=True)
class Bot:
    """One simulated worker. Its units are counted from 1."""

    #: The worker's name at the crowd provider.
    name: str
    #: Returns the work for a unit.
    answer: Answer
    #: Returns what is submitted in the onboarding.
    answer_onboarding: Answer = succeed
    #: In a live task, returns what the worker sends after an update of the task's code.
    reply: Reply = speak_in_turn
    #: The messages that the worker sends to the partner of a chat, before submitting the transcript instead of an
    #: answer; 0 if the work is not a chat.
    chat_messages: int = 0
    #: True if the worker waits until the task's code says that it is over; otherwise work whose code stays silent is
    #: submitted as it is.
    waits_for_end: bool = False
    #: The typical time from getting a unit to submitting it.
    think_seconds: float = 1.0
    #: The unit that the worker returns; None if there is none.
    returns_unit: int | None = None
    #: The unit during which the worker closes the page for good; None if there is none.
    disconnects_on_unit: int | None = None
    #: The unit that the worker submits after its time is up; None if there is none.
    times_out_on_unit: int | None = None
    #: The unit during which the worker leaves the page and opens it again; None if there is none.
    reloads_on_unit: int | None = None
    #: True if the worker presses the button twice.
    double_clicks: bool = False
    #: The seed of the worker's own random numbers, which must not depend on the timing of others.
    seed: int = 0


def draw_bots(
    chance: Random,
    workers: int,
    answer: Answer,
    *,
    returning: int = 2,
    disconnecting: int = 1,
    think_seconds: float = 1.0,
    chat_messages: int = 0,
) -> tuple[Bot, ...]:
    """Draw a crowd.

    Args:
        chance: the source of random numbers.
        workers: the number of workers.
        answer: returns the work for a unit's data.
        returning: the number of workers who return one unit; fewer if nobody else would be left.
        disconnecting: the number of workers who close the page for good; fewer if nobody else would be left.
        think_seconds: the typical time for a unit over all workers.
        chat_messages: as `Bot.chat_messages`.
    """
    names = [f"worker-{number:02}" for number in range(1, workers + 1)]
    peculiar = chance.sample(names, min(returning + disconnecting, max(workers - 1, 0)))
    leavers, returners = peculiar[:disconnecting], peculiar[disconnecting:]
    return tuple(
        Bot(
            name=name,
            answer=answer,
            chat_messages=chat_messages,
            think_seconds=draw_speed(chance, think_seconds),
            returns_unit=chance.randint(1, RETURNS_BY_UNIT) if name in returners else None,
            disconnects_on_unit=1 if name in leavers else None,
            seed=chance.getrandbits(64),
        )
        for name in names
    )


def draw_speed(chance: Random, think_seconds: float) -> float:
    """Return the typical time of one worker for a unit, given that of all workers."""
    return think_seconds * math.exp(chance.uniform(-1, 1) * math.log(SPEED_RANGE))
