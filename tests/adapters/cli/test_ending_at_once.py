"""`end`: what it says while it waits, and about people who lose their work to `end --now`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing
from click.testing import CliRunner, Result

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.architects.memory.router import MemoryRouter
from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.composition.operator import open_operator
from mephisto_es.core.decisions.refusals import refusal_text
from mephisto_es.core.lifecycles.task_run import TaskRunStatus
from mephisto_es.core.operations.operator import Operator
from mephisto_es.events.engagement import RefusalReason

from ...core.operations.operator_harness import HarnessTaskState, ask, config, items


def verb(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(command.main, [words[0], str(folder), *words[1:]])


def end_now(folder: Path) -> Result:
    return verb(folder, "end", "1", "--now")


async def until_expired(operator: Operator, router: MemoryRouter, *tokens: str) -> None:
    """Wait until the router knows that the agents have lost their work."""
    news = trio.Event()
    stop = operator.ledger.subscribe(lambda _: news.set())
    while {router.statuses[token] for token in tokens} != {"expired"}:
        await news.wait()
        news = trio.Event()
        await trio.testing.wait_all_tasks_blocked()
    stop()


@pytest.mark.parametrize("pays", [True, False], ids=["paid", "unpaid"])
async def test_who_ends_a_run_at_once_reads_what_people_lost_and_are_owed(tmp_path: Path, pays: bool) -> None:
    results: list[Result] = []
    with trio.fail_after(120):
        async with open_operator(tmp_path) as operator, trio.open_nursery() as nursery:
            cfg = config(pay_for_time="36000.00", pay_for_time_limit="0.30") if pays else config()
            run = await operator.launch_task_run_or_die(cfg, HarnessTaskState(data=items(3)))
            router = MemoryArchitect.routers[operator.get_running_task_runs()[run].task_run]
            ann, bob = [(await ask(router, worker))["agent_id"] for worker in ("ann", "bob")]
            router.connect(bob)

            async def end() -> None:
                results.append(await trio.to_thread.run_sync(partial(end_now, tmp_path)))

            nursery.start_soon(end)
            await until_expired(operator, router, ann, bob)
            router.submit_task(ann, {"answer": "late"})
            router.disconnect(bob)
        [result] = results
    assert result.exit_code == 0, result.output
    assert "waiting at most 30 seconds for what they still send" in result.stderr
    assert result.stdout.splitlines() == [
        "run-1 has ended",
        "2 people lost work by that; 1 of them sent it late",
        f"`mephisto-es review {tmp_path} 1 --late` shows that; --accept-late pays it",
        f"0.60 is owed for their time: `mephisto-es pay {tmp_path} 1` pays it"
        if pays
        else "nothing is owed for their time: the run has no pay_for_time, or no money left",
    ]
    # Nobody is at work any more.
    again = await trio.to_thread.run_sync(partial(end_now, tmp_path))
    assert again.stdout == result.stdout


async def test_an_end_that_waits_says_for_whom_and_refuses_to_be_paused(tmp_path: Path) -> None:
    async def ask_for(*words: str) -> Result:
        return await trio.to_thread.run_sync(partial(verb, tmp_path, *words))

    ended: list[Result] = []
    with trio.fail_after(120):
        async with open_operator(tmp_path) as operator, trio.open_nursery() as nursery:
            run = await operator.launch_task_run_or_die(config(), HarnessTaskState(data=items(3)))
            live_run = operator.get_running_task_runs()[run]
            router = MemoryArchitect.routers[live_run.task_run]
            ann = (await ask(router, "ann"))["agent_id"]

            async def end() -> None:
                ended.append(await ask_for("end", "1"))

            nursery.start_soon(end)
            while operator.run_status(live_run.task_run) is not TaskRunStatus.STOPPING:
                news = trio.Event()
                stop = operator.ledger.subscribe(lambda _, news=news: news.set())  # type: ignore[misc]
                if operator.run_status(live_run.task_run) is not TaskRunStatus.STOPPING:
                    await news.wait()
                stop()
            assert (await ask(router, "bob"))["failure_reason"] == refusal_text(RefusalReason.ENOUGH_PEOPLE)
            refused = await ask_for("pause", "1")
            assert (refused.exit_code, "run 1 is ending already" in refused.stderr) == (1, True)
            blockers = (await ask_for("blockers", "1")).stdout
            router.submit_task(ann, {"answer": 1})
        [result] = ended
    waiting = "waiting for 1 person at work, each of whom has at most 30 min for a unit"
    assert f"{waiting} (--now does not wait)" in result.stderr
    assert f"ending: {waiting}" in blockers
    assert "server" not in (await ask_for("status")).stdout
    watched = (await ask_for("top", "1")).stdout
    assert "run-1" in watched
