"""Follows the onboardings of a run, runs their code, validates what workers submit, and answers waiting pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial

import msgspec

from ....events import streams
from ....events.ids import OnboardingAgentId, QualificationId
from ....events.onboarding import (
    OnboardingFailed,
    OnboardingPassed,
    OnboardingReturned,
    OnboardingTimedOut,
)
from ...abstractions.agent import OnboardingAgent
from ...abstractions.shared_task_state import OnboardingSharedState
from ...commands.admission import RecordOnboardingOutcome
from ...commands.agent import EndOnboarding, OnboardingDeparture
from ...errors import CommandRefusedError, UserCodeError
from ...ledger import Ledger
from ...lifecycles.onboarding import LIVE_ONBOARDING_STATUSES, ONBOARDING, OnboardingRecord, OnboardingStatus
from ...ports import Ids, WallClock
from ..agent_pages import AgentPages
from ..logger_core import get_logger
from ..run_context import RunContext
from .calls import call
from .participants import LiveParticipants, decode_update
from .timings import UserFunction, timings

logger = get_logger(__name__)

#: Seconds for which a page may still wait for the outcome of its onboarding: longer than a router keeps a request
#: open by default. If the page does not wait, the router reports that the page of the agent it gets is gone.
ANSWER_SECONDS = 60
#: Events at the end of the log that are searched for outcomes of that time.
LOOK_BACK_EVENTS = 20_000

#: Answers a page whose onboarding is decided; takes the id of its request.
Answer = Callable[[OnboardingRecord, str], Awaitable[None]]


class LiveOnboardings(LiveParticipants[OnboardingRecord, OnboardingAgent, OnboardingDeparture]):
    """The onboardings of one run that are not decided."""

    EVENTS = ONBOARDING.events

    def __init__(
        self,
        context: RunContext,
        ledger: Ledger,
        ids: Ids,
        clock: WallClock,
        pages: AgentPages,
        *,
        answer: Answer,
    ) -> None:
        super().__init__(context, ledger, ids, clock, pages)
        self._clock = clock
        self._answer = answer
        #: Requests that wait for the outcome of an onboarding.
        self._requests: dict[OnboardingAgentId, list[str]] = {}

    def resume(self) -> None:
        """Follow the onboardings that an earlier process of the run left, and answer pages that may still wait."""
        super().resume()
        for record in self._just_decided():
            self._nursery.start_soon(self._answer, record, record.request)

    def _just_decided(self) -> Iterator[OnboardingRecord]:
        """Find onboardings that an earlier process decided without, perhaps, answering their pages."""
        is_new = not self._ledger.state.runs[self._run].by_registration
        if is_new or self._context.onboarding_qualification is None:
            return
        since = self._clock.now_us() - ANSWER_SECONDS * 1_000_000
        log = self._ledger.log
        for _, envelope in log.read(after=max(0, log.head().seq - LOOK_BACK_EVENTS)):
            is_outcome = isinstance(envelope.event, OnboardingPassed | OnboardingFailed) and envelope.at >= since
            if is_outcome and streams.partition_of(envelope.stream) == streams.partition_of_run(self._run):
                record = self._ledger.state.onboardings[envelope.stream]
                if record.request:
                    yield record

    def expect_answer(self, record: OnboardingRecord, request_id: str) -> None:
        """Answer a request once the onboarding is decided."""
        if record.status in LIVE_ONBOARDING_STATUSES:
            self._requests.setdefault(record.agent, []).append(request_id)
        else:
            self._nursery.start_soon(self._answer, record, request_id)

    # Handles --------------------------------------------------------------------------------------------------------

    def _stream_of(self, agent_id: int) -> str:
        return streams.onboarding_agent(self._run, OnboardingAgentId(agent_id))

    def _record_of(self, stream: str) -> OnboardingRecord:
        return self._ledger.state.onboardings[stream]

    def _live_ids(self) -> Iterable[OnboardingAgentId]:
        return self._ledger.state.runs[self._run].live_onboardings

    def _is_live(self, record: OnboardingRecord) -> bool:
        return record.status in LIVE_ONBOARDING_STATUSES

    def _make_handle(self, record: OnboardingRecord) -> OnboardingAgent:
        observe = partial(self._observe, record.agent)
        return OnboardingAgent(record.agent, record.worker, record.token, record.status.value, observe)

    # Task code ------------------------------------------------------------------------------------------------------

    def _advance(self, handle: OnboardingAgent, record: OnboardingRecord, *, again: bool) -> None:
        """Start the code of an onboarding that has started, and decide one that was submitted."""
        if record.status is OnboardingStatus.WAITING:
            if again and record.request:
                self._requests[record.agent] = [record.request]
            self._nursery.start_soon(self._decide, record)
            return
        runner = self._context.task_runner
        if again:
            self._replay([handle], lambda: None)
        self._start_code(partial(runner.run_onboarding, handle), partial(runner.cleanup_onboarding, handle), [handle])

    async def _decide(self, record: OnboardingRecord) -> None:
        """Ask the launch script whether the worker passes, and record its answer."""
        shared = self._context.blueprint.shared_state
        body = self._ledger.log.payload(record.submission) if record.submission else None
        passed = False
        try:
            data = decode_update(body or b"{}")
            if isinstance(shared, OnboardingSharedState):
                with timings().function(UserFunction.VALIDATE_ONBOARDING):
                    passed = bool(await call(shared.validate_onboarding, data))
        except msgspec.DecodeError:
            logger.info("an onboarding's data is not an object", onboarding_agent=record.agent)
        except UserCodeError:
            logger.exception("validate_onboarding failed: the worker does not pass", onboarding_agent=record.agent)
        outcome = RecordOnboardingOutcome(
            task_run=self._run, agent=record.agent, qualification=self._qualification, passed=passed
        )
        try:
            await self._issuer.issue(outcome)
        except CommandRefusedError as error:
            logger.info("the onboarding ended before it was decided", reason=str(error))

    @property
    def _qualification(self) -> QualificationId:
        """The qualification that onboarded workers get; it was created when the run was launched."""
        return self._ledger.state.qualifications_by_name[self._context.onboarding_qualification or ""]

    # Ending ---------------------------------------------------------------------------------------------------------

    def _code_failed(self) -> OnboardingDeparture:
        return OnboardingReturned(reason="the onboarding's code failed")

    def _timed_out(self, reason: str) -> OnboardingDeparture:
        return OnboardingTimedOut(reason=reason)

    def _on_ended(self, record: OnboardingRecord) -> None:
        for request_id in self._requests.pop(record.agent, ()):
            self._nursery.start_soon(self._answer, record, request_id)

    async def end_agent(self, agent_id: int, departure: OnboardingDeparture) -> None:
        """End an onboarding without a decision; does nothing if it is decided or has ended."""
        command = EndOnboarding(task_run=self._run, agent=OnboardingAgentId(agent_id), departure=departure)
        await self._issuer.issue(command)

    async def end_all(self, reason: str) -> None:
        """End all onboardings; returns once that is durable."""
        for agent_id in sorted(self._live_ids()):
            await self.end_agent(agent_id, OnboardingReturned(reason=reason))
