"""Registers the workers of one run, and gives their pages an agent or the reason why they get none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

import msgspec
import trio

from ...events import streams
from ...events.agent import AgentDisconnected
from ...events.engagement import RefusalReason
from ...events.envelope import RecordedEvent
from ...events.ids import AgentId, WorkerId
from ...events.onboarding import OnboardingDisconnected
from ..abstractions.agent import Agent
from ..abstractions.callbacks import (
    INIT_DATA_FOR_AGENT,
    INIT_DATA_FOR_ONBOARDING,
    ON_UNIT_SUBMITTED,
    RUN_ASSIGNMENT,
    RUN_ONBOARDING,
    RUN_UNIT,
    VALIDATE_ONBOARDING,
    is_quick,
)
from ..abstractions.crowd.visits import VisitRefusedError
from ..abstractions.work_data import to_plain
from ..errors import UserCodeError
from ..ledger import Ledger
from ..lifecycles.agent import SUBMITTED_STATUSES, AgentRecord, is_late
from ..lifecycles.onboarding import LIVE_ONBOARDING_STATUSES, OnboardingRecord, OnboardingStatus
from ..packet_data import ProviderData, WorkerProgress
from ..packets import AgentDetailsData
from ..payloads import pseudonym
from ..ports import Ids, WallClock
from .admission.pipeline import Admission
from .admission.visits import VisitAdmission
from .agent_pages import AgentPages
from .logger_core import get_logger
from .run_context import RunContext
from .services.consents import Consents
from .services.directory import Directory
from .services.provider_places import ProviderPlaces
from .services.time_payments import TimePayments
from .services.worker_page import page_token
from .task_code.agents import LiveAgents
from .task_code.left_partners import LeftPartners
from .task_code.onboardings import LiveOnboardings
from .task_code.submission_callbacks import SubmissionCallbacks
from .task_code.timings import UserFunction, timings
from .task_code.user_code import UserCode
from .task_launcher import TaskLauncher
from .uploads import UploadFetcher

#: Seconds that a worker waits for the verdict on its last submission.
VERDICT_TIMEOUT_SECONDS = 10.0
#: Status by which routers report that a page has gone.
GONE = "disconnect"
#: Reason recorded for it.
PAGE_GONE = "the worker's page has gone"

logger = get_logger(__name__)

#: Refusals whose answer does not name the worker.
_ANONYMOUS = (RefusalReason.NOT_QUALIFIED, RefusalReason.TASK_MISSING)


class WorkerPool:
    """The workers of one run, from their first request on.

    Attributes:
        visits: lets pages in on the provider's terms.
        admission: the steps that workers pass before they get a unit.
        agents: the agents that have a unit now.
        submissions: what was submitted, for the launch script.
        left_partners: the completed units of workers whose partners left.
        time_payments: the agents whose time is paid.
        onboardings: the onboardings that are not decided.
        impersonations: requests that carried the registration of another worker, and got nothing.
    """

    def __init__(
        self,
        context: RunContext,
        ledger: Ledger,
        ids: Ids,
        clock: WallClock,
        launcher: TaskLauncher,
        pages: AgentPages,
        uploads: UploadFetcher,
        on_change: Callable[[], None],
    ) -> None:
        """Keep the parts.

        Args:
            context: the run.
            ledger: takes the commands.
            ids: source of ids and salts.
            clock: the wall clock, for deadlines.
            launcher: makes the units that workers get.
            pages: sends to the workers' pages.
            uploads: fetches the files of submissions.
            on_change: called when people or submissions may have stopped waiting without an event.
        """
        self._context = context
        self._run = context.task_run
        self._ledger = ledger
        self._pages = pages
        self._directory = Directory(ledger, ids)
        self._places = ProviderPlaces(ledger, ids)
        self._consents = Consents(context.task_run, ledger, ids)
        self._user_code = UserCode(context, ledger, ids)
        self.visits = VisitAdmission(context.task_run, context.provider, ledger, ids, self._user_code)
        self.admission = Admission(context, ledger, ids, launcher, pages, self._user_code)
        self.agents = LiveAgents(context, ledger, ids, clock, pages, self._user_code)
        self.submissions = SubmissionCallbacks(context, ledger, ids, self._user_code, uploads, on_change)
        self.left_partners = LeftPartners(context, ledger, ids)
        self.time_payments = TimePayments(context, ledger, ids)
        self.onboardings = LiveOnboardings(
            context,
            ledger,
            ids,
            clock,
            pages,
            self._user_code,
            answer=self.register_agent_from_onboarding,
            refuse=self._refuse_for_now,
        )
        self._registration_open = trio.Event()
        self._is_closed = False
        self.impersonations = 0

    def open_registration(self) -> None:
        """Answer requests for agents from now on, including those that have waited."""
        self._registration_open.set()

    def close_registration(self) -> None:
        """Tell newcomers that the run is paused; those who have an agent are still answered with it."""
        self._is_closed = True

    def get_agent_for_id(self, agent_id: AgentId) -> Agent | None:
        """Return the handle of an agent that has a unit now."""
        return self.agents.get(agent_id)

    def on_committed(self, events: Sequence[RecordedEvent]) -> None:
        """Follow durable events of the run."""
        self.agents.on_committed(events)
        self.submissions.on_committed(events)
        self.left_partners.on_committed(events)
        self.time_payments.on_committed(events)
        self.onboardings.on_committed(events)

    # Registration ---------------------------------------------------------------------------------------------------

    async def register_worker(self, crowd_data: ProviderData, request_id: str) -> None:
        """Find or register the worker of a page that asks for an agent, then answer the page with `register_agent`."""
        await self._wait_until_open()
        try:
            terms = self.visits.terms_of(crowd_data)
        except VisitRefusedError as error:
            self.visits.refused[error.reason] = self.visits.refused.get(error.reason, 0) + 1
            self._answer_refusal(None, error.reason, request_id)
            return
        worker = await self._register_worker(terms.page)
        reason = await self.visits.admit(worker, terms)
        if reason is None:
            await self.register_agent(terms.page, worker, request_id)
        else:
            self._answer_refusal(worker, reason, request_id)

    async def _wait_until_open(self) -> None:
        if not self._registration_open.is_set():
            await self._registration_open.wait()

    async def _register_worker(self, crowd_data: ProviderData) -> WorkerId:
        """Return the worker with a name at the provider, registered if it is new.

        The registration is durable at the latest together with the decision about the worker, before anybody gets an
        answer.
        """
        provider_type = self._context.provider.PROVIDER_TYPE
        return await self._directory.find_or_create_worker(crowd_data.worker_name, provider_type)

    async def register_agent(self, crowd_data: ProviderData, worker: WorkerId, request_id: str) -> None:
        """Answer a page with its agent, old or new, or with the reason why it gets none."""
        registration = pseudonym(self._ledger.log.pseudonym_key, "registration", crowd_data.agent_registration_id)
        await self._places.record(self._run, worker, registration, crowd_data)
        if crowd_data.consent is not None:
            await self._consents.record(worker, crowd_data.consent)
        await self._answer(worker, registration, request_id)

    async def register_agent_from_onboarding(self, state: OnboardingRecord, request_id: str) -> None:
        """Answer a page whose onboarding is decided as if it asked for an agent now."""
        await self._wait_until_open()
        await self._answer(state.worker, state.registration, request_id)

    async def _answer(self, worker: WorkerId, registration: str, request_id: str) -> None:
        state, run = self._ledger.state, self._run
        before = state.agent_by_registration(run, registration)
        agent, reason = before, None
        if before is None or (before.worker == worker and self._has_to_ask_anew(before)):
            reason = RefusalReason.PAUSED if self._is_closed else await self._register_agent(worker, registration)
            agent = state.agent_by_registration(run, registration)
        if agent is not None and agent.worker != worker:
            # Registrations are not secret; only the worker whose page sent one gets the agent behind it.
            logger.warning("a page used the registration of another worker", worker=worker)
            self.impersonations += 1
            self._answer_refusal(worker, RefusalReason.TASK_MISSING, request_id)
            return
        if reason is None and agent is not None:
            is_new = before is None or before.token != agent.token
            await self.reconnect_agent(agent, request_id, is_new=is_new)
        else:
            self._answer_refusal(worker, reason or RefusalReason.TASK_MISSING, request_id)

    def _has_to_ask_anew(self, agent: AgentRecord | OnboardingRecord) -> bool:
        """Return whether the page of an onboarding that is over, or cannot be decided, is treated as a new one."""
        if isinstance(agent, AgentRecord):
            return False
        return agent.status not in LIVE_ONBOARDING_STATUSES or self.onboardings.is_undecided(agent.agent)

    async def _register_agent(self, worker: WorkerId, registration: str) -> RefusalReason | None:
        """Give a page an agent if its worker may have one; returns the reason if it gets none."""
        await self.submissions.wait_decided(worker, VERDICT_TIMEOUT_SECONDS)
        if not await self.onboardings.settle(worker):
            return await self.admission.refuse_for_now(worker, VALIDATE_ONBOARDING.name)
        if not await self.submissions.settle(worker):
            return await self.admission.refuse_for_now(worker, ON_UNIT_SUBMITTED.name)
        return await self.admission.admit(worker, registration)

    async def _refuse_for_now(self, worker: WorkerId, function: str, request_id: str) -> None:
        """Answer a page whose worker has to wait because a function of the task's code failed."""
        reason = await self.admission.refuse_for_now(worker, function)
        self._answer_refusal(worker, reason, request_id)

    async def reconnect_agent(
        self, state: AgentRecord | OnboardingRecord, request_id: str, *, is_new: bool = False
    ) -> None:
        """Answer a page with its agent and the agent's initial data, once the agent is durable.

        If the task's code fails to give the data, the page is asked to come back later. A new agent then loses its
        unit, which is offered again; one that is at work keeps it.
        """
        run = self._run
        await self._ledger.wait_durable(
            streams.agent(run, state.agent)
            if isinstance(state, AgentRecord)
            else streams.onboarding_agent(run, state.agent)
        )
        # More may have happened by now, and the page may know it already.
        state = self._ledger.state.agent_by_token(run, state.token) or state
        if self._ledger.state.agent_by_registration(run, state.registration) is None:
            # The task's code failed at once.
            await self._refuse_for_now(state.worker, self._task_code_of(state), request_id)
            return
        if isinstance(state, OnboardingRecord) and state.status not in LIVE_ONBOARDING_STATUSES:
            failed = state.status is OnboardingStatus.REJECTED
            reason = RefusalReason.NOT_QUALIFIED if failed else RefusalReason.TASK_MISSING
            self._answer_refusal(state.worker, reason, request_id)
            return
        try:
            init_data = await self._init_data(state)
        except UserCodeError as error:
            if is_new:
                await self._release(state)
            await self._refuse_for_now(state.worker, error.function, request_id)
            return
        details = AgentDetailsData(
            request_id=request_id,
            worker_id=str(state.worker),
            agent_id=state.token,
            init_task_data=init_data,
            status=state.status.value,
            progress=self._progress_of(state),
            seconds_left=self._seconds_left(state),
            is_late=isinstance(state, AgentRecord) and is_late(state),
            worker_page=page_token(self._ledger.log.pseudonym_key, state.worker),
            completion_code=self.visits.completion_code(state.worker) if state.status in SUBMITTED_STATUSES else None,
        )
        self._pages.answer(request_id, details)

    def _seconds_left(self, state: AgentRecord | OnboardingRecord) -> int | None:
        participants = self.agents if isinstance(state, AgentRecord) else self.onboardings
        return participants.seconds_left(state.agent)

    def _progress_of(self, state: AgentRecord | OnboardingRecord) -> WorkerProgress | None:
        """Return which of its worker's units an ordinary unit is; None if the page is not to tell."""
        if isinstance(state, OnboardingRecord) or not self._context.provider.SHOWS_PROGRESS:
            return None
        engagement = self._ledger.state.engagements.get(streams.engagement(self._run, state.worker))
        if engagement is None or state.agent in engagement.evaluations or not engagement.counted:
            return None
        counted = self._ledger.state.counted_units(self._run, state.worker)
        return WorkerProgress(counted, self._context.settings.maximum_units_per_worker or None)

    def _task_code_of(self, state: AgentRecord | OnboardingRecord) -> str:
        """Return the name of the code that runs while an agent is at work."""
        if isinstance(state, OnboardingRecord):
            return RUN_ONBOARDING.name
        return (RUN_ASSIGNMENT if self._context.task_runner.is_concurrent else RUN_UNIT).name

    async def _init_data(self, state: AgentRecord | OnboardingRecord) -> msgspec.Raw:
        """Return the data that the task's code gives a page to start with.

        Raises:
            UserCodeError: the code failed.
        """
        method: Callable[..., object]
        if isinstance(state, AgentRecord):
            callback, affected = INIT_DATA_FOR_AGENT, self.agents.affected(state)
            method, handle = self._context.task_runner.get_init_data_for_agent, self.agents.handle_of(state)
            code = partial(method, handle)
        else:
            callback, affected = INIT_DATA_FOR_ONBOARDING, self.onboardings.affected(state)
            method = self._context.task_runner.get_init_data_for_onboarding
            code = partial(method, self.onboardings.handle_of(state))
        if is_quick(method):
            with suppress(TypeError, ValueError), timings().function(UserFunction.INIT_DATA):
                return msgspec.Raw(msgspec.json.encode(code(), enc_hook=to_plain))
        data = await self._user_code.ask(callback, code, affected, timed_as=UserFunction.INIT_DATA)
        return msgspec.Raw(msgspec.json.encode(data))

    async def _release(self, state: AgentRecord | OnboardingRecord) -> None:
        """End a new agent whose page got no data; the worker may try again."""
        if isinstance(state, AgentRecord):
            await self.agents.release([state.agent])
        else:
            await self.onboardings.release([state.agent])

    def expect_onboarding_answer(self, state: OnboardingRecord, request_id: str) -> None:
        """Answer a page that submitted its onboarding, once that is decided."""
        self.onboardings.expect_answer(state, request_id)

    def _answer_refusal(self, worker: WorkerId | None, reason: RefusalReason, request_id: str) -> None:
        details = AgentDetailsData(
            request_id=request_id,
            worker_id=None if worker is None or reason in _ANONYMOUS else str(worker),
            failure_reason=self._context.texts.refusal(reason),
            needs_consent=reason is RefusalReason.CONSENT_MISSING,
        )
        self._pages.answer(request_id, details)

    async def retry(self, reason: str) -> bool:
        """Give work to newcomers again, and ask code about all whom it failed on; return False if none has failed."""
        has_failed = self._user_code.has_failed or self.onboardings.is_any_undecided or self.submissions.failed > 0
        await self._user_code.resume_admission(reason)
        self.admission.retry()
        await self.onboardings.retry()
        await self.submissions.retry()
        return has_failed

    # Ending ------------------------------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """True if nobody is at work, and nobody waits for the task's code, unless that failed.

        Whoever waits for a partner is not at work: nobody joins while no work is given out.
        """
        index = self._ledger.state.runs[self._run]
        is_nobody_at_work = index.live_agents <= index.waiting.keys()
        return is_nobody_at_work and self.onboardings.are_all_undecided and self.submissions.all_answered

    def end_gone(self, token: str) -> None:
        """End the agent whose page has gone for good."""
        nursery, state = self._context.nursery, self._ledger.state.agent_by_token(self._run, token)
        if isinstance(state, AgentRecord):
            nursery.start_soon(self.agents.end_agent, state.agent, AgentDisconnected(reason=PAGE_GONE))
        elif isinstance(state, OnboardingRecord) and state.status is OnboardingStatus.ONBOARDING:
            nursery.start_soon(self.onboardings.end_agent, state.agent, OnboardingDisconnected(reason=PAGE_GONE))

    async def end_idle(self, reason: str) -> None:
        """End all onboardings and all agents that wait for partners; returns once that is durable.

        In a run that gives out no more work, none of them can lead to a submission.
        """
        await self.onboardings.end_all(reason)
        await self.agents.end_waiting(reason)

    async def disconnect_active_agents(self, reason: str) -> None:
        """Take their units from all agents and end all onboardings; returns once that is durable."""
        await self.onboardings.end_all(reason)
        await self.agents.end_all(reason)

    async def end_blocked(self, reason: str) -> None:
        """End the agents of blocked workers, whose work nobody waits for; returns when that is durable."""
        await self.agents.end_blocked(reason)

    async def return_all_work(self, reason: str) -> None:
        """Put the units of all agents back on offer, and end all onboardings; returns when that is durable."""
        await self.onboardings.end_all(reason)
        await self.agents.return_all(reason)

    async def wait_for_code(self) -> None:
        """Wait until no task code is running any more, its cleanup included."""
        await self.agents.wait_for_code()
        await self.onboardings.wait_for_code()
