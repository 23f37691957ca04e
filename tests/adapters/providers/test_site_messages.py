"""Messages that a site passes on to workers: recorded before and after, and sent at most once."""

from __future__ import annotations

from pathlib import Path

import pytest
from trio.testing import MockClock

from mephisto_es.adapters.fakes.connect.site import FakeConnect
from mephisto_es.adapters.fakes.faults import Fault, FaultPlan
from mephisto_es.core.errors import CommandRefusedError
from mephisto_es.core.operations.control.requests import SiteMessageRequest
from mephisto_es.events.codec import encode
from mephisto_es.events.engagement import SiteMessageAnswered, SiteMessageIntended, SiteMessageKind
from mephisto_es.events.ids import AgentId
from mephisto_es.events.payment import Answer

from .site_run import SiteRun, open_site_run, until, write_accounts

THANKS = "Thank you for the careful work!"


@pytest.fixture(autouse=True)
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(write_accounts(tmp_path)))


async def work(run: SiteRun) -> AgentId:
    """Have somebody do a unit; its agent."""
    live = await run.launch(1)
    await run.person("anna").take_part(run.harness.router(live))
    await run.harness.operator.runs.wait_until_all_ended()
    (agent,) = run.harness.operator.ledger.state.agents.values()
    return agent.agent


def told(run: SiteRun) -> list[SiteMessageIntended | SiteMessageAnswered]:
    events = [recorded.envelope.event for recorded in run.harness.log.read()]
    return [event for event in events if isinstance(event, SiteMessageIntended | SiteMessageAnswered)]


def answers(run: SiteRun) -> list[Answer]:
    return [event.answer for event in told(run) if isinstance(event, SiteMessageAnswered)]


@pytest.mark.parametrize("kind", ["prolific", "connect"])
async def test_a_message_is_sent_once(kind: str, tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_site_run(kind, tmp_path) as run:
        request = SiteMessageRequest(agent=await work(run), text=THANKS)
        await run.ask(request)
        intended, answered = told(run)
        assert isinstance(intended, SiteMessageIntended)
        assert run.harness.log.payload(intended.text) == THANKS.encode()
        assert answered == SiteMessageAnswered(registration=intended.registration, answer=Answer.DONE)
        with pytest.raises(CommandRefusedError, match="agent-1 may have this text: --again sends it anew"):
            await run.ask(request)
        assert len(run.site.ledger.messages) == 1
        assert THANKS.encode() not in b"".join(encode(one.envelope) for one in run.harness.log.read())


@pytest.mark.parametrize("kind", ["prolific", "connect"])
async def test_a_lost_answer_is_for_a_person_and_a_refusal_is_not(
    kind: str, tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_site_run(kind, tmp_path) as run:
        request = SiteMessageRequest(agent=await work(run), text=THANKS)
        run.site.faults.follow(FaultPlan(script=(Fault.LOST_AFTER,), only="message"))
        with pytest.raises(CommandRefusedError, match="nobody can tell if the message was passed on"):
            await run.ask(request)
        assert answers(run) == [Answer.UNKNOWN]
        with pytest.raises(CommandRefusedError, match="--again sends it anew"):
            await run.ask(request)
        assert len(run.site.ledger.messages) == 1
        run.site.faults.follow(FaultPlan(script=(Fault.THROTTLED,) * 99, only="message"))
        other = SiteMessageRequest(agent=request.agent, text="Another text.")
        with pytest.raises(CommandRefusedError, match="the message was not passed on"):
            await run.ask(other)
        run.site.faults.follow(FaultPlan())
        await run.ask(other)
        assert answers(run) == [Answer.UNKNOWN, Answer.THROTTLED, Answer.DONE]
        assert len(run.site.ledger.messages) == 2


@pytest.mark.parametrize("kind", ["prolific", "connect"])
async def test_a_return_is_asked_for_where_the_site_can(kind: str, tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_site_run(kind, tmp_path) as run:
        request = SiteMessageRequest(agent=await work(run), text="The recording is silent.", asks_for_return=True)
        if isinstance(run.site, FakeConnect):
            with pytest.raises(CommandRefusedError, match="near_connect passes on no request to return the work"):
                await run.ask(request)
            assert told(run) == []
            return
        await until(lambda: run.statuses() == ["AWAITING REVIEW"])
        await run.ask(request)
        intended, answered = told(run)
        assert isinstance(intended, SiteMessageIntended)
        assert intended.message is SiteMessageKind.RETURN_REQUEST
        assert isinstance(answered, SiteMessageAnswered)
        assert answered.answer is Answer.DONE
        (submission,) = run.prolific.ledger.submissions.values()
        assert submission.return_requested_at is not None
