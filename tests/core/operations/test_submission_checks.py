"""What a blueprint finds wrong with submitted work is in the log, and a page can tell workers how far they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest
import trio

from mephisto_es.core.abstractions.blueprint import Blueprint
from mephisto_es.core.opaque_json import LARGE_BODY_BYTES
from mephisto_es.core.operations.packet_commands import (
    MAX_PROBLEM_LENGTH,
    MAX_PROBLEMS,
    TOO_LARGE_TO_CHECK,
    PacketCommand,
)
from mephisto_es.core.operations.registry import register_mephisto_abstraction
from mephisto_es.core.operations.run.live_task_run import LiveTaskRun
from mephisto_es.events.agent import AgentSubmitted
from mephisto_es.projections.queries.history.event_text import describe

from .operator_harness import (
    HarnessBlueprint,
    HarnessProvider,
    HarnessTaskState,
    OperatorHarness,
    ask,
    config,
    items,
    open_harness,
    work,
)

T = TypeVar("T")


@register_mephisto_abstraction()
class StrictBlueprint(HarnessBlueprint):
    """Knows what an answer must be, but not always."""

    BLUEPRINT_TYPE: ClassVar[str] = "strict"

    def check_submission(self, answers: object) -> tuple[str, ...]:
        assert isinstance(answers, dict)
        if answers["answer"] == "raise":
            raise KeyError("secret")
        return tuple(answers["problems"])


async def launch(
    harness: OperatorHarness, blueprint: type[Blueprint] = StrictBlueprint, **settings: object
) -> LiveTaskRun:
    cfg = config(**settings)
    cfg.blueprint._blueprint_type = blueprint.BLUEPRINT_TYPE
    run = await harness.operator.launch_task_run_or_die(cfg, HarnessTaskState(data=items(5)))
    return harness.operator.get_running_task_runs()[run]


async def submitted(harness: OperatorHarness, answers: dict[str, Any]) -> AgentSubmitted:
    """Submit work, and give the event of it."""
    router = harness.router(await launch(harness))
    details = await ask(router, "ann")
    router.submit_task(details["agent_id"], answers)
    await harness.operator.shutdown()
    [event] = [one.envelope.event for one in harness.log.read() if isinstance(one.envelope.event, AgentSubmitted)]
    return event


@pytest.mark.parametrize(
    ("answers", "problems"),
    [
        ({"answer": 1, "problems": []}, ()),
        ({"answer": 1, "problems": ["a: is required"]}, ("a: is required",)),
        ({"answer": "raise"}, ()),
        ({"answer": 1, "problems": ["x" * 1000] * 100}, ("x" * MAX_PROBLEM_LENGTH,) * MAX_PROBLEMS),
        ({"answer": "x" * 2**18, "problems": ["a: is required"]}, (TOO_LARGE_TO_CHECK,)),
    ],
    ids=["none", "one", "raises", "many", "large"],
)
async def test_problems_are_recorded_with_the_submission(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, answers: dict[str, Any], problems: tuple[str, ...]
) -> None:
    async with open_harness(tmp_path) as harness:
        event = await submitted(harness, answers)
        assert event.problems == problems
        assert harness.statuses("unit")["completed"] == 1


async def test_a_large_submission_is_checked_and_hashed_beside_the_event_loop(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside: list[object] = []
    async with open_harness(tmp_path) as harness:
        ledger = harness.operator.ledger
        offload = ledger.offload

        async def noted(call: Callable[[], T], /) -> T:
            result = await offload(call)
            beside.append(result)
            return result

        monkeypatch.setattr(ledger, "offload", noted)
        event = await submitted(harness, {"answer": "x" * LARGE_BODY_BYTES})
        [made] = [result for result in beside if isinstance(result, PacketCommand)]
        assert [payload.ref for payload in made.payloads] == [event.submission]


async def test_problems_are_told_in_the_history(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_harness(tmp_path) as harness:
        event = await submitted(harness, {"answer": 1, "problems": ["a: is required", "b: is too long"]})
        assert describe(event).endswith(", which does not fit the form: a: is required; b: is too long")


@pytest.mark.parametrize(("limit", "of"), [(0, None), (3, 3)])
async def test_a_page_is_told_which_of_its_workers_units_it_is(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, limit: int, of: int | None
) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await launch(harness, HarnessBlueprint, maximum_units_per_worker=limit)
        router = harness.router(live_run)
        assert (await ask(router, "ann", 0))["progress"] == {"unit": 1, "of": of}
        assert (await ask(router, "ann", 0))["progress"] == {"unit": 1, "of": of}, "a reload is no other unit"
        await work(router, "ann", 1)
        assert (await ask(router, "ann", 1))["progress"] == {"unit": 2, "of": of}
        assert (await ask(router, "bob", 0))["progress"] == {"unit": 1, "of": of}


async def test_a_provider_can_keep_it_from_pages(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HarnessProvider, "SHOWS_PROGRESS", False)
    async with open_harness(tmp_path) as harness:
        router = harness.router(await launch(harness, HarnessBlueprint))
        assert (await ask(router, "ann"))["progress"] is None
