"""Has a crowd site pass on messages to workers: each at most once, recorded before it is sent and after the answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ....events import streams
from ....events.engagement import SiteMessageAnswered, SiteMessageIntended, SiteMessageKind
from ....events.ids import TaskRunId
from ....events.payment import Answer
from ...abstractions.crowd.effects import SendResult
from ...abstractions.crowd.site_work import WorkAction, WorkOrder
from ...abstractions.crowd_provider import CrowdProvider
from ...command_issuer import CommandIssuer
from ...commands.admission import RecordSiteMessage
from ...errors import CommandRefusedError, ConfigError, LogError
from ...ledger import Ledger
from ...lifecycles.agent import AgentRecord
from ...payloads import name_of_worker, seal
from ...ports import Ids
from ...redaction import redacted_text
from ..services.provider_places import place_of_agent
from .requests import SiteMessageRequest

#: Answers after which a message was not passed on, for certain.
_NOT_SENT = frozenset({Answer.NOT_SENT, Answer.REFUSED, Answer.THROTTLED})


class SiteMessages:
    """The messages to workers of one run."""

    def __init__(self, ledger: Ledger, ids: Ids, run: TaskRunId, provider: CrowdProvider, author: str) -> None:
        """Keep the parts; the provider is open.

        Args:
            ledger: executes the commands; its writer task is running.
            ids: source of ids and salts.
            run: the run.
            provider: its provider.
            author: who sends the messages, as the log records it.
        """
        self._ledger = ledger
        self._ids = ids
        self._run = run
        self._provider = provider
        self._issuer = CommandIssuer(ledger, ids, author)

    async def send(self, request: SiteMessageRequest) -> None:
        """Have a message passed on.

        Raises:
            CommandRefusedError: the site has no such message, the same one may have been sent before, or it was not
                sent; the message says which.
            LogError: nothing was written, or it is not known whether it was.
        """
        agent = self._ledger.state.agents[streams.agent(self._run, request.agent)]
        kind = SiteMessageKind.RETURN_REQUEST if request.asks_for_return else SiteMessageKind.MESSAGE
        place = place_of_agent(self._ledger, self._run, agent.agent)
        if place is None:
            raise CommandRefusedError(f"agent-{agent.agent} has no place at the site: nobody there can be told")
        order = WorkOrder(
            action=WorkAction.REQUEST_RETURN if request.asks_for_return else WorkAction.MESSAGE,
            handle=place.handle,
            study=place.study,
            participant=name_of_worker(self._ledger.log, agent.worker),
            text=request.text,
        )
        effect = self._provider.work_effect(order)
        if effect is None:
            raise CommandRefusedError(f"{self._provider.PROVIDER_TYPE} passes on no {kind.value}")
        if not request.again and self._may_have_been_sent(agent, kind, request.text):
            raise CommandRefusedError(f"the worker of agent-{agent.agent} may have this text: --again sends it anew")
        text = seal(request.text.encode(), self._ids.salt(), agent.worker)
        registration = agent.registration
        intended = SiteMessageIntended(registration=registration, message=kind, text=text.ref)
        await self._issuer.issue(RecordSiteMessage(task_run=self._run, worker=agent.worker, event=intended), text)
        with provider_code():
            result = await effect.send(self._ids.token())
        answered = SiteMessageAnswered(registration=registration, answer=result.answer, reason=result.reason)
        await self._issuer.issue(RecordSiteMessage(task_run=self._run, worker=agent.worker, event=answered))
        _check(result, kind)

    def _may_have_been_sent(self, agent: AgentRecord, kind: SiteMessageKind, text: str) -> bool:
        """Return whether the same message was sent before, or nobody can tell."""
        was_sent = False
        is_same = False
        for recorded in self._ledger.log.history(streams.engagement(self._run, agent.worker)):
            event = recorded.envelope.event
            if isinstance(event, SiteMessageIntended):
                is_about_it = (event.registration, event.message) == (agent.registration, kind)
                is_same = is_about_it and self._ledger.log.payload(event.text) == text.encode()
                was_sent = was_sent or is_same
            elif isinstance(event, SiteMessageAnswered) and is_same and event.answer in _NOT_SENT:
                was_sent = False
        return was_sent


def _check(result: SendResult, kind: SiteMessageKind) -> None:
    """Say that a message was not passed on, or that nobody knows.

    Raises:
        CommandRefusedError: it was not passed on for certain.
    """
    if result.answer in _NOT_SENT:
        raise CommandRefusedError(f"the {kind.value} was not passed on: {result.reason or result.answer.value}")
    if result.answer is not Answer.DONE:
        raise CommandRefusedError(
            f"nobody can tell if the {kind.value} was passed on: look at the site's messages; --again sends it anew"
        )


@contextmanager
def provider_code() -> Iterator[None]:
    """Name what a provider's code raises: it may be anything, and must not end the process that executes requests.

    Raises:
        CommandRefusedError: in place of any other error than those of the log, the configuration or this one.
    """
    try:
        yield
    except (LogError, ConfigError, CommandRefusedError):
        raise
    except Exception as error:
        text = redacted_text(f"{type(error).__name__}: {error}")
        raise CommandRefusedError(f"the provider's site could not be asked: {text}") from error
