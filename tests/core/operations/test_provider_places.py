"""The provider's id of a worker's work is kept sealed, and payments go to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import trio.testing

from mephisto_es.core.abstractions.crowd.payments import PaymentOrder
from mephisto_es.core.operations.services.provider_places import ProviderPlace, place_of_agent
from mephisto_es.events.codec import encode

from .operator_harness import HarnessTaskState, items, open_harness, page_of, until
from .test_operator_reviews import Generous

HANDLE, STUDY = "6410aa7bcd5e1fb6dc6cf1d3", "6410aa7bcd5e1fb6dc6cf000"


def placed(worker: str, visit: object = 0) -> dict[str, object]:
    return {**page_of(worker, visit), "provider_handle": HANDLE, "provider_study": STUDY}


async def test_payments_go_to_the_place_that_the_page_named(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        operator = harness.operator
        live_run = await harness.launch(HarnessTaskState(data=items(1)))
        router = harness.router(live_run)
        details = await router.request_agent(placed("Zoë"))
        again = await router.request_agent(placed("Zoë"))
        assert again["agent_id"] == details["agent_id"]
        router.submit_task(details["agent_id"], {"answer": 1})
        await until(harness, lambda: "completed" in harness.statuses("agent"))
        (agent,) = operator.ledger.state.agents.values()
        assert place_of_agent(operator.ledger, live_run.task_run, agent.agent) == ProviderPlace(HANDLE, STUDY)
        await operator.reviewer().approve_work(agent.agent)
        provider = Generous(live_run.config, live_run.blueprint.shared_state, live_run.provider.resources)
        provider.paid = {}
        paying_run = replace(live_run, context=replace(live_run.context, provider=provider))
        assert await operator.paymaster(paying_run).pay_owed(live_run.task_run) == 1
        (order,) = provider.paid.values()
        assert isinstance(order, PaymentOrder)
        assert (order.handle, order.study) == (HANDLE, STUDY)
        events = [recorded.envelope for recorded in operator.ledger.log.read()]
        assert [type(one.event).__name__ for one in events].count("PlaceTaken") == 1
        assert not any(HANDLE.encode() in encode(one) or STUDY.encode() in encode(one) for one in events)


async def test_a_page_without_a_place_and_one_with_a_strange_one(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(2)))
        router = harness.router(live_run)
        plain = await router.request_agent(page_of("Anna"))
        assert plain["agent_id"] is not None
        refused = await router.request_agent({**page_of("Bert"), "provider_handle": "x" * 300})
        assert refused["agent_id"] is None
        (agent,) = harness.operator.ledger.state.agents.values()
        assert place_of_agent(harness.operator.ledger, live_run.task_run, agent.agent) is None
