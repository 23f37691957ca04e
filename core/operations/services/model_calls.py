"""Asks language models for task code: each question once, recorded before it is sent, and replayed from the log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import trio

from ....events import streams
from ....events.agent import AgentModelAsked, AgentModelReplied
from ....events.ids import TaskRunId
from ...abstractions.work.models import ModelAnswer, ModelQuestion
from ...command_issuer import CommandIssuer
from ...commands.agent import RecordModelQuestion, RecordModelReply
from ...errors import ModelReplyError, TaskCodeDivergedError
from ...ledger import Ledger
from ...lifecycles.agent import AgentRecord
from ...payloads import seal
from ...ports import Ids

_answer = msgspec.json.Decoder(ModelAnswer)
_LOST = "it was lost when the operator died; a model is never asked twice"


class ModelCalls:
    """The questions to models on behalf of the agents of one run."""

    def __init__(self, ledger: Ledger, ids: Ids, run: TaskRunId) -> None:
        self._ledger = ledger
        self._ids = ids
        self._issuer = CommandIssuer(ledger, ids)
        self._run = run
        #: Number of questions that task code has asked in this process, by the agent's stream.
        self._asked: dict[str, int] = {}

    async def ask(
        self, agent: AgentRecord, question: ModelQuestion, send: Callable[[], Awaitable[ModelAnswer]]
    ) -> ModelAnswer:
        """Return the reply to a question: the recorded one if it was asked before, or else that of the model.

        Args:
            agent: the agent on whose behalf it is asked.
            question: the question, as it is recorded.
            send: asks the model.

        Raises:
            CommandRefusedError: the run's budget does not cover the reply.
            ModelReplyError: the model gave no reply, or it was lost in a crash.
            TaskCodeDivergedError: another question was asked before the restart.
        """
        stream = streams.agent(self._run, agent.agent)
        number = self._asked[stream] = self._asked.get(stream, 0) + 1
        body = msgspec.json.encode(question.request)
        asked, replied = self._recorded(stream, number)
        if asked is not None:
            return self._replayed(agent, question.model, body, asked, replied)
        request = seal(body, self._ids.salt(), agent.worker)
        await self._issuer.issue(
            RecordModelQuestion(
                task_run=self._run,
                agent=agent.agent,
                number=number,
                model=question.model,
                request=request.ref,
                limit_cents=question.limit_cents,
            ),
            request,
        )
        began = trio.current_time()
        try:
            answer = await send()
        except OSError as error:
            raise ModelReplyError(question.model, number, str(error)) from error
        reply = seal(msgspec.json.encode(answer), self._ids.salt(), agent.worker)
        await self._issuer.issue(
            RecordModelReply(
                task_run=self._run,
                agent=agent.agent,
                number=number,
                model=question.model,
                reply=reply.ref,
                input_tokens=answer.input_tokens,
                output_tokens=answer.output_tokens,
                cost_micros=answer.cost_micros,
                latency_ms=round(1000 * (trio.current_time() - began)),
            ),
            reply,
        )
        return answer

    def _recorded(self, stream: str, number: int) -> tuple[AgentModelAsked | None, AgentModelReplied | None]:
        asked: AgentModelAsked | None = None
        replied: AgentModelReplied | None = None
        for _, envelope in self._ledger.log.history(stream):
            event = envelope.event
            if isinstance(event, AgentModelAsked) and event.number == number:
                asked = event
            elif isinstance(event, AgentModelReplied) and event.number == number:
                replied = event
        return asked, replied

    def _replayed(
        self, agent: AgentRecord, model: str, body: bytes, asked: AgentModelAsked, replied: AgentModelReplied | None
    ) -> ModelAnswer:
        before = self._ledger.log.payload(asked.request)
        if before is not None and before != body:
            raise TaskCodeDivergedError(agent.agent, was=f"another question to {asked.model}", now=f"one to {model}")
        answer = None if replied is None else self._ledger.log.payload(replied.reply)
        if answer is None:
            raise ModelReplyError(model, asked.number, _LOST)
        return _answer.decode(answer)
