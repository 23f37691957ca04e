"""`end --now`: what it says to people who lose their work, and about them."""

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
from mephisto_es.core.operations.operator import Operator

from ...core.operations.operator_harness import HarnessTaskState, ask, config, items


def end_now(folder: Path) -> Result:
    return CliRunner().invoke(command.main, ["end", str(folder), "1", "--now"])


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
