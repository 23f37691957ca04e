"""The workers of a run that are in their onboarding: handles, task code, validation, and who waits for the outcome."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial

import msgspec

from ....events import streams
from ....events.envelope import RecordedEvent
from ....events.ids import OnboardingAgentId, QualificationId
from ....events.onboarding import (
    OnboardingDisconnected,
    OnboardingFailed,
    OnboardingObserved,
    OnboardingPassed,
    OnboardingReturned,
    OnboardingStarted,
    OnboardingTimedOut,
    OnboardingUpdateReceived,
)
from ...abstractions.agent import OnboardingAgent, Update
from ...abstractions.mixins import OnboardingSharedState
from ...decisions.assign_work import decide_onboarding_outcome
from ...errors import AgentLeftError, CommandRefusedError, TaskCodeDivergedError, UserCodeError
from ...ledger import Command, Ledger
from ...lifecycles.onboarding import LIVE_ONBOARDING_STATUSES, ONBOARDING, OnboardingState, OnboardingStatus
from ...ports import Ids, NewEvent, WallClock
from ...state.decision_state import DecisionState
from ..agent_pages import AgentPages
from ..logger_core import get_logger
from ..run_context import RunContext
from .calls import call, clean_up
from .deadlines import Deadlines
from .observations import Observations
from .replayer import TaskCodeReplayer, recorded_lines
from .tasks import TaskCode
from .timings import UserFunction, timings

logger = get_logger(__name__)

_update = msgspec.json.Decoder(dict[str, object])

#: Seconds for which a page may still wait to be told what follows its onboarding: longer than a router lets it, unless
#: set otherwise. If it does not wait, the router reports that the agent's page is gone.
ANSWER_SECONDS = 60
#: Events at the end of the log in which what was decided in that time stands.
LOOK_BACK_EVENTS = 20_000

Ending = OnboardingDisconnected | OnboardingTimedOut | OnboardingReturned
#: Answers a page whose onboarding is decided.
Answer = Callable[[OnboardingState, str], Awaitable[None]]


class LiveOnboardings:
    """The onboardings of one run that are not decided."""

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
        self._ledger = ledger
        self._ids = ids
        self._context = context
        self._pages = pages
        self._run = context.task_run
        self._answer = answer
        self._handles: dict[OnboardingAgentId, OnboardingAgent] = {}
        self._replayers: dict[OnboardingAgentId, TaskCodeReplayer] = {}
        self._requests: dict[OnboardingAgentId, list[str]] = {}
        self._observations = Observations(ledger, ids)
        self._clock = clock
        self._deadlines = Deadlines(clock)
        self._nursery = context.nursery
        self._nursery.start_soon(self._deadlines.run)
        self.code = TaskCode(self._nursery)

    def resume(self) -> None:
        """Follow the onboardings that an earlier process of the run has left."""
        state = self._ledger.state
        for agent_id in sorted(state.runs[self._run].live_onboardings):
            stream = streams.onboarding_agent(self._run, agent_id)
            agent, history = state.onboardings[stream], self._ledger.log.history(stream)
            handle = self._adopt(agent, history[0].envelope.at, self._observations.sent_in(history))
            if agent.status is OnboardingStatus.WAITING:
                # Its code has done its part.
                handle.notice(agent.status.value)
                self._requests[agent_id] = [agent.request] if agent.request else []
                self._nursery.start_soon(self._decide, agent)
            else:
                lines = recorded_lines([(agent_id, history)], self._ledger.log.payload)
                self._replayers[agent_id] = TaskCodeReplayer(lines, partial(_deliver, handle))
                self.code.start_soon(self._run_code, handle)
        for agent in self._just_decided():
            self._nursery.start_soon(self._answer, agent, agent.request)

    def _just_decided(self) -> Iterator[OnboardingState]:
        """Onboardings that an earlier process had decided, and perhaps told no page of."""
        is_new = not self._ledger.state.runs[self._run].by_registration
        if is_new or self._context.onboarding_qualification is None:
            return
        since = self._clock.now_us() - ANSWER_SECONDS * 1_000_000
        log, partition = self._ledger.log, streams.partition_of_run(self._run)
        for _, envelope in log.read(after=max(0, log.head().seq - LOOK_BACK_EVENTS)):
            is_outcome = isinstance(envelope.event, OnboardingPassed | OnboardingFailed) and envelope.at >= since
            if is_outcome and streams.partition_of(envelope.stream) == partition:
                state = self._ledger.state.onboardings[envelope.stream]
                if state.request:
                    yield state

    def expect_answer(self, state: OnboardingState, request_id: str) -> None:
        """Answer a request once the onboarding is decided; at once if it is."""
        if state.status in LIVE_ONBOARDING_STATUSES:
            self._requests.setdefault(state.agent, []).append(request_id)
        else:
            self._nursery.start_soon(self._answer, state, request_id)

    def handle_of(self, state: OnboardingState) -> OnboardingAgent:
        """The handle of an onboarding agent, made for the occasion if it is decided."""
        send = partial(self._observe, state)
        known = self._handles.get(state.agent)
        return known or OnboardingAgent(state.agent, state.worker, state.token, state.status.value, send)

    # Following ------------------------------------------------------------------------------------------------------

    def on_committed(self, events: Sequence[RecordedEvent]) -> None:
        """Bring handles, pages and code to what has become durable. For the run's subscription."""
        state = self._ledger.state
        touched: dict[str, None] = {}
        for recorded in events:
            event, stream = recorded.envelope.event, recorded.envelope.stream
            if type(event) not in ONBOARDING.events:
                continue
            touched[stream] = None
            agent = state.onboardings[stream]
            if isinstance(event, OnboardingStarted):
                self.code.start_soon(self._run_code, self._adopt(agent, recorded.envelope.at))
            elif isinstance(event, OnboardingUpdateReceived):
                self._deliver(agent, event)
            elif isinstance(event, OnboardingObserved):
                body = self._ledger.log.payload(event.update)
                if body is not None:
                    self._pages.send_update(agent.token, body)
        for stream in touched:
            self._status_changed(state.onboardings[stream])

    def _adopt(self, state: OnboardingState, started_at: int, sent: Iterable[bytes] = ()) -> OnboardingAgent:
        handle = self._handles[state.agent] = self.handle_of(state)
        self._pages.add(state.token, sent)
        seconds = self._context.settings.assignment_duration_in_seconds
        late = OnboardingTimedOut(reason=f"not done within {seconds} s")
        self._deadlines.set_from(started_at, seconds, partial(self._end_soon, state.agent, late))
        return handle

    def _deliver(self, state: OnboardingState, event: OnboardingUpdateReceived) -> None:
        handle, body = self._handles.get(state.agent), self._ledger.log.payload(event.update)
        if handle is None or body is None:
            return
        replayer = self._replayers.get(state.agent)
        if replayer is None or replayer.caught_up:
            handle.deliver(_update.decode(body))
        else:
            replayer.buffer(state.agent, _update.decode(body))

    def _status_changed(self, state: OnboardingState) -> None:
        handle = self._handles.get(state.agent)
        if handle is None or handle.is_told(state.status.value):
            return
        self._pages.send_status(state.token, state.status.value)
        handle.notice(state.status.value)
        if state.status is OnboardingStatus.WAITING:
            self._nursery.start_soon(self._decide, state)
        elif state.status not in LIVE_ONBOARDING_STATUSES:
            del self._handles[state.agent]
            self._pages.drop(state.token)
            self._replayers.pop(state.agent, None)
            for request_id in self._requests.pop(state.agent, ()):
                self._nursery.start_soon(self._answer, state, request_id)

    async def _observe(self, state: OnboardingState, update: Update) -> None:
        replayer = self._replayers.get(state.agent)
        if replayer is None or not await replayer.on_observe(state.agent, update):
            stream = streams.onboarding_agent(self._run, state.agent)
            recorded = self._ledger.state.onboardings[stream].observed
            await self._observations.record(stream, recorded, state.worker, update, OnboardingObserved)

    # Code -----------------------------------------------------------------------------------------------------------

    async def _run_code(self, agent: OnboardingAgent) -> None:
        runner = self._context.task_runner
        try:
            await call(runner.run_onboarding, agent)
        except AgentLeftError as left:
            logger.info("a worker left the onboarding", reason=str(left))
            await clean_up(runner.cleanup_onboarding, agent)
        except (UserCodeError, TaskCodeDivergedError):
            logger.exception("the onboarding's code failed", onboarding_agent=agent.agent_id)
            await self.end(agent.agent_id, OnboardingReturned(reason="the onboarding's code failed"))
            await clean_up(runner.cleanup_onboarding, agent)

    async def _decide(self, state: OnboardingState) -> None:
        """Ask the script whether the worker passes, and put its answer down."""
        shared = self._context.blueprint.shared_state
        body = self._ledger.log.payload(state.submission) if state.submission else None
        passed = False
        try:
            data = _update.decode(body or b"{}")
            if isinstance(shared, OnboardingSharedState):
                with timings().function(UserFunction.VALIDATE_ONBOARDING):
                    passed = bool(await call(shared.validate_onboarding, data))
        except msgspec.DecodeError:
            logger.info("an onboarding's data is not an object", onboarding_agent=state.agent)
        except UserCodeError:
            logger.exception("validate_onboarding failed: the worker does not pass", onboarding_agent=state.agent)
        decide = partial(
            decide_onboarding_outcome,
            run=self._run,
            agent=state.agent,
            qualification=self._qualification,
            passed=passed,
        )
        try:
            await self._ledger.execute(Command(self._ids.command_id(), "operator", decide))
        except CommandRefusedError as error:
            logger.info("the onboarding ended before it was decided", reason=str(error))

    @property
    def _qualification(self) -> QualificationId:
        """What is granted to who was onboarded; made when the run was launched."""
        return self._ledger.state.qualifications_by_name[self._context.onboarding_qualification or ""]

    # Ending ---------------------------------------------------------------------------------------------------------

    async def end(self, agent_id: OnboardingAgentId, ending: Ending) -> None:
        """End an onboarding that is not decided; does nothing if it is."""
        stream = streams.onboarding_agent(self._run, agent_id)

        def decide(state: DecisionState) -> list[NewEvent]:
            live = state.onboardings[stream].status in LIVE_ONBOARDING_STATUSES
            return [NewEvent(stream, ending)] if live else []

        await self._ledger.execute(Command(self._ids.command_id(), "operator", decide))

    def _end_soon(self, agent_id: OnboardingAgentId, ending: Ending) -> None:
        if agent_id in self._handles:
            self._nursery.start_soon(self.end, agent_id, ending)

    async def end_all(self, reason: str) -> None:
        """End all onboardings; returns when that is durable."""
        for agent_id in sorted(self._ledger.state.runs[self._run].live_onboardings):
            await self.end(agent_id, OnboardingReturned(reason=reason))


def _deliver(handle: OnboardingAgent, _agent: int, update: Update) -> None:
    handle.deliver(update)
