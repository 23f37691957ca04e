"""Models as partners: asked once, recorded with their cost, replayed after a crash, limited by the budget."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import msgspec
import pytest
import trio

from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.adapters.models.chat_model import ChatModel
from mephisto_es.core.abstractions.agent import Agent, Unit
from mephisto_es.core.abstractions.task_runner import LiveTaskRunner
from mephisto_es.core.errors import ConfigError
from mephisto_es.core.operations.task_code.plain_agents import PlainAgent
from mephisto_es.events.agent import AgentModelAsked, AgentModelReplied

from ...core.operations.operator_harness import HarnessTaskState, OperatorHarness, ask, items, open_harness, until

URL = "http://models.test/v1/chat/completions"


class Endpoint:
    """A stand-in for a server of models, which counts."""

    def __init__(self, answer: Callable[[int], httpx.Response] | None = None) -> None:
        self.requests: list[httpx.Request] = []
        self._answer = answer or self._completion

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return self._answer(len(self.requests))

    def _completion(self, number: int) -> httpx.Response:
        said = json.loads(self.requests[-1].content)["messages"][-1]["content"]
        body = {
            "choices": [{"message": {"content": f"{said}, says reply {number}"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1000, "completion_tokens": 100},
        }
        return httpx.Response(200, json=body)

    def model(self, **settings: str) -> ChatModel:
        return ChatModel(URL, "small", transport=httpx.MockTransport(self), **settings)  # type: ignore[arg-type]  # of texts


class Partner(LiveTaskRunner):
    """Lets the worker talk to a model, which is asked twice."""

    model: ChatModel

    async def run_unit(self, unit: Unit, agent: Agent) -> None:
        conversation: list[dict[str, str]] = []
        for _ in range(2):
            update = await agent.get_live_update()
            assert update is not None
            conversation.append({"role": "user", "content": update["text"]})
            said = await self.model.reply(agent, conversation, max_tokens=100, temperature=0)
            conversation.append({"role": "assistant", "content": said})
            await agent.observe({"id": "Model", "text": said})
        await agent.await_submit()


def partner(model: ChatModel, base: type[LiveTaskRunner] = Partner) -> HarnessTaskState:
    return HarnessTaskState(data=items(1), runner=type("Bound", (base,), {"model": model}))


def recorded(log: MemoryLog) -> list[AgentModelAsked | AgentModelReplied]:
    events = (one.envelope.event for one in log.read())
    return [event for event in events if isinstance(event, AgentModelAsked | AgentModelReplied)]


async def say(harness: OperatorHarness, token: str, number: int) -> None:
    [live_run] = harness.operator.get_running_task_runs().values()
    harness.router(live_run).send_live_update(token, {"text": f"line {number}", "update_id": str(number)})


async def test_a_model_is_asked_once_and_its_reply_is_replayed(tmp_path: Path) -> None:
    log, endpoint = MemoryLog(), Endpoint()
    model = endpoint.model(input_price="2.50", output_price="10")
    async with open_harness(tmp_path, log) as harness:
        router = harness.router(await harness.launch(partner(model), budget="1.00"))
        token = (await ask(router, "ann"))["agent_id"]
        await say(harness, token, 1)
        await until(harness, lambda: len(recorded(log)) == 2)
    async with open_harness(tmp_path, log) as harness:
        live_run = await harness.launch(partner(model), budget="1.00", resume_incomplete_run=True)
        router = harness.router(live_run)
        page = router.connect(token)
        await say(harness, token, 2)
        texts: list[str] = []
        while len(texts) < 2:
            data = (await page.receive())["data"]
            if data.get("text") and data["text"] not in texts:
                texts.append(data["text"])
        router.submit_task(token, {})
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
        budget = harness.operator.ledger.state.runs[live_run.task_run].budget
    assert texts == ["line 1, says reply 1", "line 2, says reply 2"]
    assert len(endpoint.requests) == 2
    asked, replied, _, second = recorded(log)
    assert isinstance(asked, AgentModelAsked)
    assert isinstance(replied, AgentModelReplied)
    assert isinstance(second, AgentModelReplied)
    request = msgspec.json.decode(log.payload(asked.request) or b"")
    assert (request["url"], request["temperature"], request["max_tokens"]) == (URL, 0, 100)
    assert (replied.input_tokens, replied.output_tokens, replied.cost_micros) == (1000, 100, 3500)
    # 0.35 cents each: one cent for both.
    assert (replied.cost_cents, second.cost_cents, budget.model_micros) == (1, 0, 7000)


class Careful(LiveTaskRunner):
    """Tells the page what became of a question, from a plain function."""

    model: ChatModel

    def run_unit(self, unit: Unit, agent: PlainAgent[Agent]) -> None:  # type: ignore[override]  # plain code
        try:
            said = self.model.reply_to(agent, [{"role": "user", "content": "hello"}])
        except Exception as error:
            agent.observe({"text": str(error)})
            raise
        agent.observe({"text": said})
        agent.await_submit()


@pytest.mark.parametrize(
    ("answer", "settings", "said"),
    [
        (None, {}, "hello, says reply 1"),
        (lambda _: httpx.Response(503), {}, f"question 1 to the model 'small' has no reply: {URL} answered 503"),
        (lambda _: httpx.Response(200, json={}), {}, "answered something else than a completion"),
        (lambda _: httpx.Response(200, json={"choices": []}), {}, "answered something else than a completion"),
        (None, {"output_price": "5000"}, "a reply of small may cost 250 cents, and the budget of run 1 has 90 left"),
    ],
)
async def test_plain_code_is_told_what_became_of_a_question(
    tmp_path: Path, answer: Callable[[int], httpx.Response] | None, settings: dict[str, str], said: str
) -> None:
    async with open_harness(tmp_path) as harness:
        shared = partner(Endpoint(answer).model(**settings), Careful)
        router = harness.router(await harness.launch(shared, budget="1.00"))
        page = router.connect((await ask(router, "ann"))["agent_id"])
        while (packet := await page.receive())["packet_type"] != "client_bound_live_update":
            pass
        assert said in packet["data"]["text"]
        await harness.operator.force_shutdown()


async def test_a_reply_that_a_crash_lost_is_not_asked_for_again(tmp_path: Path) -> None:
    log, endpoint = MemoryLog(), Endpoint()
    started = trio.Event()

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            endpoint.requests.append(request)
            started.set()
            await trio.sleep_forever()
            raise AssertionError

    async with open_harness(tmp_path, log) as harness:
        router = harness.router(await harness.launch(partner(ChatModel(URL, "small", transport=Slow()), Careful)))
        token = (await ask(router, "ann"))["agent_id"]
        await started.wait()
    async with open_harness(tmp_path, log) as harness:
        live_run = await harness.launch(partner(endpoint.model(), Careful), resume_incomplete_run=True)
        page = harness.router(live_run).connect(token)
        while "text" not in (packet := await page.receive())["data"]:
            pass
        assert "a model is never asked twice" in packet["data"]["text"]
        assert len(endpoint.requests) == 1
        await harness.operator.force_shutdown()


def test_wrong_settings_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for price in ("cheap", "-1", "NaN"):
        with pytest.raises(ConfigError, match="is not a number"):
            ChatModel(URL, "small", input_price=price)
    monkeypatch.delenv("MODEL_KEY", raising=False)
    with pytest.raises(ConfigError, match="MODEL_KEY is not set"):
        ChatModel(URL, "small", api_key_variable="MODEL_KEY")
