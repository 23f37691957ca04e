"""Asks language models over HTTP, as partners in chats: endpoints for chat completions, as most servers have."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import httpx
import msgspec

from ...core.abstractions.agent import Agent
from ...core.abstractions.work.models import ModelAnswer, ModelQuestion
from ...core.errors import ConfigError
from ...core.operations.task_code.calls import wait_on_loop
from ...core.operations.task_code.plain_agents import PlainAgent

#: Tokens that a reply may have, unless a call says otherwise.
MAX_TOKENS = 500
#: Bytes of an answer that are read.
MAX_ANSWER_BYTES = 1024 * 1024


class _Said(msgspec.Struct):
    content: str


class _Choice(msgspec.Struct):
    message: _Said
    finish_reason: str | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None


_completion = msgspec.json.Decoder(_Completion)


class ChatModel:
    """A language model behind an HTTP endpoint, as a partner of a worker.

    Each question is asked once, and recorded with its reply, tokens, cost and latency; after a crash the reply is read
    from the log. Its cost counts against the run's budget, which must cover the longest reply before it is asked.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        api_key_variable: str | None = None,
        input_price: str = "0",
        output_price: str = "0",
        timeout_seconds: float = 60,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Keep the settings; nothing is asked.

        Args:
            url: the endpoint, for instance `http://localhost:8000/v1/chat/completions`.
            model: the name of the model there.
            api_key_variable: the environment variable that holds the key; the key is never recorded.
            input_price: price of a million tokens that are sent, in the run's currency, for instance 0.50.
            output_price: price of a million tokens of replies.
            timeout_seconds: seconds to wait for a reply.
            transport: how requests are sent, for tests.

        Raises:
            ConfigError: a price is not a number, or the environment variable is not set.
        """
        self.url = url
        self.model = model
        self._input_price, self._output_price = (_price(text) for text in (input_price, output_price))
        self._timeout = timeout_seconds
        self._transport = transport
        self._headers = {}
        if api_key_variable is not None:
            key = os.environ.get(api_key_variable)
            if not key:
                raise ConfigError(f"the environment variable {api_key_variable} is not set", key=api_key_variable)
            self._headers["Authorization"] = f"Bearer {key}"

    async def reply(
        self,
        agent: Agent,
        messages: Sequence[Mapping[str, str]],
        *,
        max_tokens: int = MAX_TOKENS,
        **parameters: Any,  # whatever the endpoint takes, as JSON
    ) -> str:
        """Ask the model, and return what it replies.

        Args:
            agent: the agent that the model talks to; the question is recorded in its history.
            messages: the conversation so far: `[{"role": "user", "content": "..."}]`.
            max_tokens: tokens that the reply may have.
            **parameters: more parameters of the endpoint, for instance `temperature`.

        Raises:
            CommandRefusedError: the run's budget does not cover the longest reply.
            ModelReplyError: the endpoint gave no reply, or it was lost in a crash.
        """
        request = {"model": self.model, "messages": list(messages), "max_tokens": max_tokens, **parameters}
        size = len(msgspec.json.encode(request["messages"]))  # a token has at least one byte
        limit = -(-self._micros(size, max_tokens) // 10_000)
        question = ModelQuestion(model=self.model, request={"url": self.url, **request}, limit_cents=limit)
        answer = await agent.ask_model(question, lambda: self._send(request))
        return answer.text

    def reply_to(
        self,
        agent: PlainAgent[Agent],
        messages: Sequence[Mapping[str, str]],
        *,
        max_tokens: int = MAX_TOKENS,
        **parameters: Any,  # whatever the endpoint takes, as JSON
    ) -> str:
        """Ask the model from a plain function or a world, which blocks; see `reply`.

        Args:
            agent: the agent; in a world, `agent.mephisto_agent`.
            messages: as in `reply`.
            max_tokens: as in `reply`.
            **parameters: as in `reply`.
        """
        return wait_on_loop(self.reply, agent.handle, messages, max_tokens=max_tokens, **parameters)

    def _micros(self, input_tokens: int, output_tokens: int) -> int:
        cost = input_tokens * self._input_price + output_tokens * self._output_price
        return int(cost.to_integral_value(rounding="ROUND_CEILING"))

    async def _send(self, request: dict[str, Any]) -> ModelAnswer:
        async with httpx.AsyncClient(timeout=self._timeout, transport=self._transport) as client:
            try:
                response = await client.post(self.url, json=request, headers=self._headers)
            except httpx.HTTPError as error:
                raise ConnectionError(f"{type(error).__name__} at {self.url}") from error
        if response.status_code != httpx.codes.OK:
            raise ConnectionError(f"{self.url} answered {response.status_code}")
        try:
            completion = _completion.decode(response.content[:MAX_ANSWER_BYTES])
            choice = completion.choices[0]
        except (msgspec.DecodeError, IndexError) as error:
            raise ConnectionError(f"{self.url} answered something else than a completion") from error
        usage = completion.usage or _Usage()
        return ModelAnswer(
            text=choice.message.content,
            input_tokens=usage.prompt_tokens,
            output_tokens=usage.completion_tokens,
            cost_micros=self._micros(usage.prompt_tokens or 0, usage.completion_tokens or 0),
            details={"finish_reason": choice.finish_reason},
        )


def _price(text: str) -> Decimal:
    try:
        price = Decimal(text)
    except ArithmeticError as error:
        raise ConfigError(f"the price {text!r} is not a number", hint="Write it as in '0.50'") from error
    if not price.is_finite() or price < 0:
        raise ConfigError(f"the price {text!r} is not a number", hint="Write it as in '0.50'")
    return price
