"""Follows the onboardings of a run, runs their code, validates what workers submit, and answers waiting pages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial

import msgspec

from ....events import streams
from ....events.ids import OnboardingAgentId, QualificationId, WorkerId
from ....events.onboarding import (
    OnboardingFailed,
    OnboardingPassed,
    OnboardingReturned,
    OnboardingTimedOut,
)
from ...abstractions.agent import OnboardingAgent
from ...abstractions.callbacks import CLEANUP_ONBOARDING, RUN_ONBOARDING, VALIDATE_ONBOARDING
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
from .participants import CODE_FAILED, LiveParticipants, RunningCode, decode_update
from .plain_agents import agent_for
from .timings import UserFunction
from .units import Units
from .user_code import AffectedIds, UserCode

logger = get_logger(__name__)

#: Seconds for which a page may still wait for the outcome of its onboarding: longer than a router keeps a request
#: open by default. If the page does not wait, the router reports that the page of the agent it gets is gone.
ANSWER_SECONDS = 60
#: Events at the end of the log that are searched for outcomes of that time.
LOOK_BACK_EVENTS = 20_000

#: Answers a page whose onboarding is decided; takes the id of its request.
Answer = Callable[[OnboardingRecord, str], Awaitable[None]]
#: Answers a page whose onboarding cannot be decided now; takes the worker, the function that failed and the request.
Refuse = Callable[[WorkerId, str, str], Awaitable[None]]


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
        user_code: UserCode,
        *,
        answer: Answer,
        refuse: Refuse,
    ) -> None:
        super().__init__(context, ledger, ids, clock, pages, user_code)
        self._clock = clock
        self._units = Units(ledger, context, ids)
        self._answer = answer
        self._refuse = refuse
        #: Submitted onboardings that the launch script's code failed on, or that an earlier process left.
        self._undecided: dict[OnboardingAgentId, OnboardingRecord] = {}
        #: Onboardings that are about to end because their code failed.
        self._failed: set[int] = set()
        #: Requests that wait for the outcome of an onboarding.
        self._requests: dict[OnboardingAgentId, list[str]] = {}

    def resume(self) -> None:
        """Follow the onboardings that an earlier process of the run left, and answer pages that may still wait."""
        super().resume()
        self._nursery.start_soon(self.retry)
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
        recall = partial(self._units.past_onboarding_updates, record.agent)
        token, status = record.token, record.status.value
        return OnboardingAgent(record.agent, record.worker, token, status, observe, recall, self._units)

    # Task code ------------------------------------------------------------------------------------------------------

    def _advance(self, handle: OnboardingAgent, record: OnboardingRecord, *, again: bool) -> None:
        """Start the code of an onboarding that has started, and decide one that was submitted."""
        if record.status is OnboardingStatus.WAITING:
            if not again:
                self._nursery.start_soon(self._decide, record)
                return
            # Decided when all of them are known.
            self._undecided[record.agent] = record
            if record.request:
                self._requests[record.agent] = [record.request]
            return
        runner = self._context.task_runner
        if again:
            self._replay([handle], lambda: None)
        code = RunningCode(
            RUN_ONBOARDING,
            partial(runner.run_onboarding, agent_for(runner.run_onboarding, handle)),
            CLEANUP_ONBOARDING,
            partial(runner.cleanup_onboarding, handle),
            self.affected(record),
        )
        self._start_code(code, [handle])

    async def _after_code(self, agents: Sequence[OnboardingAgent]) -> None:
        """Tell the page of an onboarding whose code has returned that it may submit: chat pages wait for that."""
        for agent in agents:
            record = self._record_of(self._stream_of(agent.agent_id))
            if record.status is OnboardingStatus.ONBOARDING:
                self._pages.tell(record.token, OnboardingStatus.WAITING.value)

    async def _decide(self, record: OnboardingRecord) -> bool:
        """Ask the launch script whether the worker passes, and record its answer.

        Returns:
            False if the launch script's code failed: nobody knows, and it can be asked again.
        """
        self._undecided.pop(record.agent, None)
        try:
            passed = await self._validate(record)
        except UserCodeError:
            # Not if it has ended meanwhile.
            if record.agent in self._handles:
                self._undecided[record.agent] = record
            for request_id in self._requests.pop(record.agent, ()):
                self._nursery.start_soon(self._refuse, record.worker, VALIDATE_ONBOARDING.name, request_id)
            return False
        outcome = RecordOnboardingOutcome(
            task_run=self._run, agent=record.agent, qualification=self._qualification, passed=passed
        )
        try:
            await self._issuer.issue(outcome)
        except CommandRefusedError as error:
            logger.info("the onboarding ended before it was decided", reason=str(error))
        return True

    async def _validate(self, record: OnboardingRecord) -> bool:
        """Return whether the worker passes.

        Raises:
            UserCodeError: the launch script's code failed.
        """
        shared = self._context.blueprint.shared_state
        body = self._ledger.log.payload(record.submission) if record.submission else None
        try:
            decode_update(body or b"{}")
        except msgspec.DecodeError:
            logger.info("an onboarding's data is not an object", onboarding_agent=record.agent)
            return False
        if not isinstance(shared, OnboardingSharedState):
            return False
        state = self._units.onboarding_state_of(record.agent)
        data = state.get_data()
        if state.messages:
            data["agent"] = self._handles.get(record.agent) or self._make_handle(record)
        code, affected = partial(shared.validate_onboarding, data), self.affected(record)
        timed_as = UserFunction.VALIDATE_ONBOARDING
        return await self._user_code.ask(VALIDATE_ONBOARDING, code, affected, timed_as=timed_as)

    async def retry(self) -> None:
        """Ask the launch script again about all onboardings that its code failed on."""
        await self._user_code.ask_again([partial(self._decide_again, record) for record in self._undecided.values()])

    async def settle(self, worker: WorkerId) -> bool:
        """Ask the launch script again about a worker whose onboarding its code failed on.

        Returns:
            False if nobody knows yet whether the worker passes.
        """
        undecided = [record for record in self._undecided.values() if record.worker == worker]
        if undecided and self._user_code.is_admission_paused:
            return False
        return all([await self._decide_again(record) for record in undecided])

    async def _decide_again(self, record: OnboardingRecord) -> bool:
        """Decide an onboarding unless somebody else has asked about it meanwhile; returns False if that failed."""
        return record.agent not in self._undecided or await self._decide(record)

    def is_undecided(self, agent: OnboardingAgentId) -> bool:
        """Return whether an onboarding was submitted, and the launch script's code failed on it."""
        return agent in self._undecided

    @property
    def is_any_undecided(self) -> bool:
        """True if an onboarding was submitted, and the launch script's code failed on it."""
        return bool(self._undecided)

    @property
    def are_all_undecided(self) -> bool:
        """True if the launch script's code failed on all onboardings: none of them can go on now."""
        return all(agent in self._undecided for agent in self._live_ids())

    def affected(self, record: OnboardingRecord) -> AffectedIds:
        """Return the ids that a failure of code about an onboarding names."""
        return AffectedIds(worker=record.worker, onboarding_agent=record.agent)

    @property
    def _qualification(self) -> QualificationId:
        """The qualification that onboarded workers get; it was created when the run was launched."""
        return self._ledger.state.qualifications_by_name[self._context.onboarding_qualification or ""]

    # Ending ---------------------------------------------------------------------------------------------------------

    async def release(self, agents: Sequence[int]) -> None:
        """End onboardings whose code failed; their pages may get new ones."""
        self._failed.update(agents)
        for agent in agents:
            await self.end_agent(agent, OnboardingReturned(reason=CODE_FAILED, may_retry=True))

    def _is_at_work(self, record: OnboardingRecord) -> bool:
        return record.status is OnboardingStatus.ONBOARDING

    def _timed_out(self, reason: str) -> OnboardingDeparture:
        return OnboardingTimedOut(reason=reason)

    def _on_ended(self, record: OnboardingRecord) -> None:
        self._undecided.pop(record.agent, None)
        for request_id in self._requests.pop(record.agent, ()):
            if record.agent in self._failed:
                self._nursery.start_soon(self._refuse, record.worker, RUN_ONBOARDING.name, request_id)
            else:
                self._nursery.start_soon(self._answer, record, request_id)
        self._failed.discard(record.agent)

    async def end_agent(self, agent_id: int, departure: OnboardingDeparture) -> None:
        """End an onboarding without a decision; does nothing if it is decided or has ended."""
        command = EndOnboarding(task_run=self._run, agent=OnboardingAgentId(agent_id), departure=departure)
        await self._issuer.issue(command)

    async def end_all(self, reason: str) -> None:
        """End all onboardings; returns once that is durable."""
        for agent_id in sorted(self._live_ids()):
            await self.end_agent(agent_id, OnboardingReturned(reason=reason))
