"""Questions of task code to language models, and the replies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from ..work_data import Update


class ModelQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """A question to a language model."""

    #: The name that the endpoint knows it by.
    model: str
    #: The messages and parameters that are sent, as they are recorded. No secrets.
    request: Update
    #: The most that the reply may cost, in cents; the run's budget must cover it.
    limit_cents: int = 0


class ModelAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A reply of a language model."""

    #: What the model said.
    text: str
    #: None if the endpoint did not say.
    input_tokens: int | None = None
    output_tokens: int | None = None
    #: Cost in millionths of the currency's main unit.
    cost_micros: int = 0
    #: What else the endpoint said, for instance why the reply ends.
    details: dict[str, Any] = {}


#: Asks a model, and returns its reply.
SendQuestion = Callable[[], Awaitable[ModelAnswer]]
#: Asks a model once on behalf of an agent: records question and reply, or returns the reply that is recorded.
AskOnce = Callable[[ModelQuestion, SendQuestion], Awaitable[ModelAnswer]]
