"""The page on which a worker sees their own work, and what a page is told of work whose time is up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trio
import trio.testing

from mephisto_es.adapters.architects.memory.router import MemoryRouter
from mephisto_es.core.commands.directory import EraseWorker
from mephisto_es.core.operations.services.worker_page import MAX_WORK, page_token, worker_of_token
from mephisto_es.core.packet_data import PageReceipt
from mephisto_es.events.ids import AgentId, TaskRunId, WorkerId

from .operator_harness import HarnessTaskState, OperatorHarness, ask, items, open_harness, until, work

TITLE = "A harness"


async def page_of(router: MemoryRouter, token: str) -> Any:
    return await router.request_worker_page(token)


def agent_of(harness: OperatorHarness, token: str) -> AgentId:
    state = harness.operator.ledger.state
    [agent] = [found for run in state.runs if (found := state.agent_by_token(run, token))]
    return AgentId(agent.agent)


async def test_a_worker_sees_work_verdicts_and_pay(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(3)))
        router, reviewer = harness.router(live_run), harness.operator.reviewer()
        details = await ask(router, "Zoë")
        token = details["worker_page"]
        [at_work] = (await page_of(router, token))["work"]
        assert (at_work["task"], at_work["status"], at_work["submitted_at"]) == (TITLE, "in task", None)
        assert (at_work["pay_cents"], at_work["payments"], at_work["note"]) == (10, [], None)

        router.submit_task(details["agent_id"], {"answer": 1})
        await until(harness, lambda: "completed" in harness.statuses("agent"))
        agent = agent_of(harness, details["agent_id"])
        await reviewer.approve_work(agent, "well done", bonus_cents=50)
        await reviewer.bonus_worker(WorkerId(1), 7, "found a mistake")
        page = await page_of(router, token)
        [done] = page["work"]
        assert (done["status"], done["note"], done["is_late"]) == ("approved", "well done", False)
        assert done["submitted_at"] >= done["started_at"] >= 1_700_000_000
        assert done["payments"] == [
            {"purpose": "pay", "amount_cents": 10, "status": "owed", "reason": None},
            {"purpose": "bonus", "amount_cents": 50, "status": "owed", "reason": None},
            {"purpose": "bonus", "amount_cents": 7, "status": "owed", "reason": "found a mistake"},
        ]
        assert (page["owed_cents"], page["paid_cents"], page["has_more"]) == (67, 0, False)


async def test_each_worker_sees_their_own_work_only(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(4)))
        router = harness.router(live_run)
        ann, bob = await ask(router, "ann"), await ask(router, "bob")
        await ask(router, "ann", 1)
        assert ann["worker_page"] != bob["worker_page"]
        first, second = await page_of(router, ann["worker_page"]), await page_of(router, bob["worker_page"])
        assert [one["agent"] for one in first["work"]][-1] == ann["agent_id"]
        assert (len(first["work"]), [one["agent"] for one in second["work"]]) == (2, [bob["agent_id"]])


async def test_an_address_that_was_made_up_leads_nowhere(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1)))
        router = harness.router(live_run)
        token = (await ask(router, "ann"))["worker_page"]
        key = harness.log.pseudonym_key
        assert worker_of_token(key, token) == 1
        forged = f"2-{token.partition('-')[2]}"
        wrong_ones = [
            forged,
            token[:-1],
            f"{token}0",
            "",
            "-",
            "1",
            "1-",
            "x" * 40,
            "9" * 40 + "-a",
            "１-a",
            "1-\ud800",
        ]
        for wrong in wrong_ones:
            assert worker_of_token(key, wrong) is None
        assert await page_of(router, forged) is None
        # The signature is right, and there is no such worker.
        assert await page_of(router, page_token(key, WorkerId(2))) is None


async def test_the_page_of_an_erased_worker_is_gone(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(2)))
        router = harness.router(live_run)
        details = await ask(router, "ann")
        router.submit_task(details["agent_id"], {})
        await until(harness, lambda: "completed" in harness.statuses("agent"))
        erase = EraseWorker(worker=WorkerId(1), reason="asked for it")
        await harness.operator.reviewer()._issuer.issue(erase)
        assert await page_of(router, details["worker_page"]) is None


async def test_a_long_history_is_cut(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(MAX_WORK + 2)))
        router = harness.router(live_run)
        assert await work(router, "ann", MAX_WORK + 1, seconds=0.01) == MAX_WORK + 1
        page = await page_of(router, page_token(harness.log.pseudonym_key, WorkerId(1)))
        assert (len(page["work"]), page["has_more"]) == (MAX_WORK, True)
        assert page["work"][0]["started_at"] > page["work"][-1]["started_at"]


async def test_a_page_that_is_loaded_again_is_told_what_became_of_the_work(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(2)), assignment_duration_in_seconds=60)
        router = harness.router(live_run)
        first = await ask(router, "ann")
        assert (first["status"], first["is_late"]) == ("in task", False)
        assert 59 < first["seconds_left"] <= 60
        await trio.sleep(20)
        assert 39 < (await ask(router, "ann"))["seconds_left"] <= 40
        await until(harness, lambda: router.statuses[first["agent_id"]] == "timeout")
        ended = await ask(router, "ann")
        assert (ended["agent_id"], ended["status"]) == (first["agent_id"], "timeout")
        assert (ended["seconds_left"], ended["is_late"]) == (None, False)

        router.submit_task(first["agent_id"], {"answer": 1})
        await until(harness, lambda: any(one.submission for one in harness.operator.ledger.state.agents.values()))
        late = await ask(router, "ann")
        assert (late["status"], late["is_late"]) == ("timeout", True)
        [shown] = (await page_of(router, first["worker_page"]))["work"]
        assert (shown["status"], shown["is_late"]) == ("timeout", True)

        await harness.operator.reviewer().accept_late_work(agent_of(harness, first["agent_id"]), "just in time")
        accepted = await ask(router, "ann")
        assert (accepted["status"], accepted["is_late"]) == ("approved", False)
        [shown] = (await page_of(router, first["worker_page"]))["work"]
        assert (shown["note"], [one["amount_cents"] for one in shown["payments"]]) == ("just in time", [10])


async def test_a_worker_objects_on_the_page_and_is_answered_there(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(2)))
        router, reviewer = harness.router(live_run), harness.operator.reviewer()
        details = await ask(router, "ann")
        token, own = details["agent_id"], details["worker_page"]
        router.submit_task(token, {"answer": 1})
        await until(harness, lambda: "completed" in harness.statuses("agent"))
        router.submit_appeal(token, "too early")
        await page_of(router, own)
        await reviewer.reject_work(agent_of(harness, token), "not what was asked")
        [shown] = (await page_of(router, own))["work"]
        assert (shown["status"], shown["note"]) == ("rejected", "not what was asked")
        assert (shown["may_appeal"], shown["appeal"]) == (True, None)

        for text in (" ", "x" * 4001, "I did what the example does.", "once more"):
            router.submit_appeal(token, text)
        [shown] = (await page_of(router, own))["work"]
        objection = {"status": "open", "objection": "I did what the example does.", "answer": None}
        assert (shown["may_appeal"], shown["appeal"]) == (False, objection)
        # What is refused commits nothing, so nobody is told of it.
        await trio.testing.wait_all_tasks_blocked()
        assert live_run.client_io.dropped["not legal in the agent's status"] == 2

        await reviewer.dismiss_appeal(agent_of(harness, token), "The example is another task.")
        [shown] = (await page_of(router, own))["work"]
        answered = {**objection, "status": "dismissed", "answer": "The example is another task."}
        assert (shown["may_appeal"], shown["appeal"]) == (False, answered)


async def test_an_onboarding_is_not_objected_to(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_harness(tmp_path, onboarding="knows the task") as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1)))
        router = harness.router(live_run)
        router.submit_appeal((await ask(router, "ann"))["agent_id"], "not fair")
        await ask(router, "ann")
        assert live_run.client_io.dropped == {"SubmitAppealPacket that is malformed, or does not fit its agent": 1}


async def test_a_receipt_is_only_for_the_workers_own_work(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    made: list[tuple[int, int]] = []

    def make_receipt(run: TaskRunId, agent: AgentId) -> PageReceipt:
        made.append((run, agent))
        return PageReceipt(file="a.receipt", text="signed", events=2, proved=0)

    async with open_harness(tmp_path, make_receipt=make_receipt) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(2)))
        router = harness.router(live_run)
        ann, bob = await ask(router, "ann"), await ask(router, "bob")
        assert ann["offers_receipts"] is True
        router.submit_task(ann["agent_id"], {"answer": 1})
        receipt: Any = await router.request_receipt(ann["worker_page"], ann["agent_id"])
        assert receipt == {"file": "a.receipt", "text": "signed", "events": 2, "proved": 0}
        # What the page has sent before is in the log by then.
        assert harness.statuses("agent") == {"completed": 1, "in task": 1}
        assert made == [(live_run.task_run, agent_of(harness, ann["agent_id"]))]
        for page, agent in (
            (ann["worker_page"], bob["agent_id"]),
            (ann["worker_page"], "x"),
            (bob["worker_page"] + "x", bob["agent_id"]),
        ):
            assert await router.request_receipt(page, agent) is None
        assert len(made) == 1
        assert (await page_of(router, ann["worker_page"]))["offers_receipts"] is True


async def test_without_the_extra_no_receipt_is_offered(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(1)))
        router = harness.router(live_run)
        ann = await ask(router, "ann")
        assert ann["offers_receipts"] is False
        assert (await page_of(router, ann["worker_page"]))["offers_receipts"] is False
        assert await router.request_receipt(ann["worker_page"], ann["agent_id"]) is None
