"""The crowd against a real router."""

from collections import Counter
from pathlib import Path
from random import Random

import pytest
import trio

from mephisto_es.adapters.crowd.bot import Bot, draw_bots
from mephisto_es.adapters.crowd.crowd import Crowd
from mephisto_es.adapters.crowd.summary import latency

from ...ports import free_port
from .fake_operator import NO_WORK, FakeOperator

GIVE_UP_SECONDS = 300


def doubled(data: object, _: Random) -> object:
    assert isinstance(data, dict)
    return {"answer": data["number"] * 2}


def crowd_at(url: str, bots: tuple[Bot, ...], patience_seconds: float = 0.5) -> Crowd:
    return Crowd(url, bots, patience_seconds=patience_seconds)


async def test_they_work_until_there_is_no_more_work(tmp_path: Path) -> None:
    bots = draw_bots(Random(1), 4, doubled, returning=0, disconnecting=0, think_seconds=0.01)
    with trio.fail_after(GIVE_UP_SECONDS):
        async with FakeOperator(20).open(tmp_path) as operator:
            crowd = crowd_at(operator.url, bots)
            await crowd.run()
    assert operator.submitted == {number: {"answer": number * 2} for number in range(20)}
    assert operator.workers == {"worker-01", "worker-02", "worker-03", "worker-04"}
    assert max(Counter(operator.registrations).values()) == 1, "each visit is a new piece of work at the provider"
    summary = crowd.summary()
    assert (summary.workers, summary.submissions, summary.failures) == (4, 20, {})
    assert set(summary.refusals) == {NO_WORK}
    assert summary.visits == 20 + summary.refusals[NO_WORK]
    assert summary.submit_task.requests == 20
    assert 0 < summary.submit_task.p50_ms <= summary.submit_task.p99_ms


async def test_some_give_back_and_some_vanish_and_others_do_the_work(tmp_path: Path) -> None:
    bots = draw_bots(Random(5), 4, doubled, returning=2, disconnecting=1, think_seconds=0.05)
    with trio.fail_after(GIVE_UP_SECONDS):
        async with FakeOperator(12).open(tmp_path, MEPHISTO_ROUTER_HEARTBEAT_LIMIT_SECONDS="1") as operator:
            crowd = crowd_at(operator.url, bots, patience_seconds=5)
            await crowd.run()
    assert len(operator.returned) == 2
    assert len(operator.disconnected) == 1
    assert set(operator.submitted) == set(range(12))
    summary = crowd.summary()
    assert (summary.returned, summary.disconnected, summary.submissions) == (2, 1, 12)


async def test_a_crowd_that_is_ended_by_the_last_submission_counts_it(tmp_path: Path) -> None:
    """On a busy machine the demo said that 9 of 10 units were submitted."""
    bots = draw_bots(Random(1), 1, doubled, returning=0, disconnecting=0, think_seconds=0.01)
    with trio.fail_after(GIVE_UP_SECONDS):
        # The answer comes after the operator has acknowledged the submission, and so after the crowd is ended.
        async with FakeOperator(3).open(tmp_path, MEPHISTO_ROUTER_COMMIT_WAIT_SECONDS="60") as operator:
            crowd = crowd_at(operator.url, bots)
            with trio.CancelScope() as working:
                operator.on_submitted = lambda: working.cancel() if len(operator.submitted) == 3 else None
                await crowd.run()
    assert crowd.summary().submissions == 3


async def test_they_pass_an_onboarding(tmp_path: Path) -> None:
    bots = draw_bots(Random(1), 1, doubled, think_seconds=0.01)
    with trio.fail_after(GIVE_UP_SECONDS):
        async with FakeOperator(2, with_onboarding=True).open(tmp_path) as operator:
            await crowd_at(operator.url, bots).run()
    assert set(operator.submitted) == {0, 1}
    assert operator.onboarded[:2] == [{"success": True}, {"success": True}]


async def test_a_router_that_is_not_there_is_tried_for_a_while(autojump_clock: trio.abc.Clock) -> None:
    bots = draw_bots(Random(1), 1, doubled)
    crowd = crowd_at(f"http://127.0.0.1:{free_port()}", bots, patience_seconds=10)
    with trio.fail_after(60):
        await crowd.run()
    summary = crowd.summary()
    assert summary.visits == 1
    assert summary.failures == {"GET / got no answer (ConnectError)": 1}


async def test_a_request_that_is_refused_is_counted(tmp_path: Path) -> None:
    bots = draw_bots(Random(1), 1, doubled, think_seconds=0.01)
    with trio.fail_after(GIVE_UP_SECONDS):
        async with FakeOperator(1).open(tmp_path) as operator:
            (tmp_path / "static" / "wrap_crowd_source.js").unlink()
            crowd = crowd_at(operator.url, bots)
            await crowd.run()
    assert crowd.summary().failures == {"GET /wrap_crowd_source.js was answered 404": 1}
    assert operator.submitted == {}


def test_a_seed_is_a_crowd() -> None:
    assert draw_bots(Random(7), 12, doubled) == draw_bots(Random(7), 12, doubled)
    assert draw_bots(Random(7), 12, doubled) != draw_bots(Random(8), 12, doubled)


@pytest.mark.parametrize(("workers", "returning", "disconnecting"), [(12, 2, 1), (3, 1, 1), (2, 0, 1), (1, 0, 0)])
def test_somebody_is_always_left_to_do_the_work(workers: int, returning: int, disconnecting: int) -> None:
    bots = draw_bots(Random(3), workers, doubled)
    assert len({bot.name for bot in bots}) == workers
    assert len([bot for bot in bots if bot.returns_unit]) == returning
    assert len([bot for bot in bots if bot.disconnects_on_unit]) == disconnecting


def test_percentiles_are_nearest_ranks() -> None:
    figures = latency([number / 1000 for number in range(100, 0, -1)])
    assert (figures.requests, figures.p50_ms, figures.p99_ms) == (100, 50.0, 99.0)
    assert latency([]).requests == 0
