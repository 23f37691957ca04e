"""Calls `on_unit_submitted` once per submission and records its verdict.

The verdict is recorded together with its consequences: whether a worker passed a screening, and how many gold units it
got right. A resumed run makes the calls that its earlier process did not get to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import trio

from ....events import streams
from ....events.engagement import CallbackAnswered, VerdictsRevoked
from ....events.envelope import RecordedEvent
from ....events.ids import UnitId, WorkerId
from ....events.task_run import CallbackFailed
from ....events.unit import UnitCompleted, UnitLateAccepted
from ...abstractions.callbacks import ON_EVALUATION_SUBMITTED, ON_UNIT_SUBMITTED, Callback
from ...command_issuer import CommandIssuer
from ...commands.admission import GoldQualifications, RecordEvaluation, ScreeningQualifications
from ...errors import UserCodeError
from ...ledger import Ledger
from ...lifecycles.engagement import ON_SUBMITTED, EngagementState
from ...lifecycles.unit import DONE_UNIT_STATUSES, UnitState, UnitStatus
from ...ports import Ids
from ...signal import Signal
from ..run_context import RunContext
from ..uploads import UploadFetcher
from .units import Units
from .user_code import AffectedIds, UserCode

#: Seconds that a submission waits for its files before the launch script is asked about it.
FILES_SECONDS = 600.0


class SubmissionCallbacks:
    """The submissions of one run that the launch script has not answered yet."""

    def __init__(
        self,
        context: RunContext,
        ledger: Ledger,
        ids: Ids,
        user_code: UserCode,
        uploads: UploadFetcher,
        on_change: Callable[[], None],
    ) -> None:
        """Keep the parts.

        Args:
            context: the run.
            ledger: takes the commands.
            ids: source of ids.
            user_code: calls the launch script.
            uploads: fetches the files of submissions.
            on_change: called when `all_answered` may have changed without an event.
        """
        self._ledger = ledger
        self._user_code = user_code
        self._uploads = uploads
        self._on_change = on_change
        self._issuer = CommandIssuer(ledger, ids)
        self._context = context
        self._run = context.task_run
        self._callback = context.blueprint.shared_state.on_unit_submitted
        self._units = Units(ledger, context, ids)
        #: Unanswered units, with the workers who submitted them.
        self._unanswered: dict[UnitId, WorkerId] = {}
        #: Units that the launch script's code failed on, or that an earlier process left unanswered.
        self._failed: dict[UnitId, WorkerId] = {}
        self._is_retrying = 0
        self._answered = Signal()

    def resume(self) -> None:
        """Call the launch script for submissions that an earlier process of the run did not get to."""
        if self._callback is None:
            return
        state = self._ledger.state
        for stream, unit in state.units.items():
            if unit.status not in DONE_UNIT_STATUSES or streams.run_of(stream) != self._run:
                continue
            if unit.worker is not None and self._was_submitted(unit):
                engagement = state.engagements[streams.engagement(self._run, unit.worker)]
                if _is_to_be_told(unit, engagement) and (ON_SUBMITTED, unit.unit) not in engagement.answers:
                    self._failed[unit.unit] = unit.worker
        self._context.nursery.start_soon(self.retry)

    def _judge_again(self, worker: WorkerId, units: Sequence[UnitId]) -> None:
        """Let the next retry ask about submissions whose answers were revoked."""
        state = self._ledger.state
        for unit in units:
            if state.units[streams.unit(self._run, unit)].status is UnitStatus.COMPLETED:
                self._failed[unit] = worker

    def on_committed(self, events: Sequence[RecordedEvent]) -> None:
        """Follow submissions, recorded answers and failures among durable events of the run."""
        for recorded in events:
            event = recorded.envelope.event
            if isinstance(event, UnitCompleted | UnitLateAccepted):
                unit = self._ledger.state.units[recorded.envelope.stream]
                is_judged_late = isinstance(event, UnitLateAccepted) and unit.index < 0
                if unit.worker is not None and self._was_submitted(unit) and not is_judged_late:
                    self._call_soon(unit.unit, unit.worker)
            elif isinstance(event, CallbackAnswered) and event.callback == ON_SUBMITTED:
                self._unanswered.pop(event.unit, None)
                self._failed.pop(event.unit, None)
                self._answered.notify()
            elif isinstance(event, VerdictsRevoked) and event.callback == ON_SUBMITTED and self._callback is not None:
                worker = self._ledger.state.engagements[recorded.envelope.stream].worker
                self._judge_again(worker, event.units)
            elif isinstance(event, CallbackFailed) and event.function == ON_SUBMITTED and event.unit is not None:
                self._note_failure(event.unit)

    @property
    def all_answered(self) -> bool:
        """True if the launch script is not being asked about a submission, and none waits for that."""
        return not (self._unanswered or self._is_retrying)

    @property
    def failed(self) -> int:
        """Number of submissions that the launch script's code failed on."""
        return len(self._failed)

    async def wait_answered(self) -> None:
        """Wait until the launch script is not being asked about any submission."""
        while not self.all_answered:
            await self._answered.wait()

    async def wait_decided(self, worker: WorkerId, seconds: float) -> None:
        """Wait until a worker's submissions are answered, if the run's next step for it depends on that.

        Args:
            worker: the worker.
            seconds: seconds to wait at most.
        """
        # What was submitted a moment ago is asked about only once it is durable.
        await self._ledger.wait_durable(streams.engagement(self._run, worker))
        if self._context.screening is None and self._context.golds is None:
            return
        with trio.move_on_after(seconds):
            while worker in self._unanswered.values():
                await self._answered.wait()

    async def retry(self) -> bool:
        """Ask the launch script again about all submissions that its code failed on; returns True if any are left."""
        questions = [partial(self._ask_again, unit) for unit in self._failed]
        self._is_retrying += 1
        try:
            await self._user_code.ask_again(questions)
        finally:
            self._is_retrying -= 1
            self._answered.notify()
            self._on_change()
        return bool(self._failed)

    async def settle(self, worker: WorkerId) -> bool:
        """Ask the launch script again about a worker's evaluation, if its code failed on that.

        Returns:
            False if nobody knows yet whether the worker did it well.
        """
        engagement = self._ledger.state.engagements.get(streams.engagement(self._run, worker))
        undecided = None if engagement is None else engagement.undecided()
        if undecided is None or undecided not in self._failed:
            return True
        return not self._user_code.is_admission_paused and await self._ask_again(undecided)

    def _was_submitted(self, unit: UnitState) -> bool:
        """Return whether a worker's page has submitted a completed unit.

        It has not if a partner left and so did its worker, or if the work was taken in from the provider's site.
        """
        agent = self._ledger.state.agents[streams.agent(self._run, unit.agent)] if unit.agent is not None else None
        return agent is not None and agent.submission is not None and not agent.is_taken_in

    def _call_soon(self, unit: UnitId, worker: WorkerId) -> None:
        if self._callback is not None:
            self._unanswered[unit] = worker
            self._context.nursery.start_soon(self._call, unit, worker)

    async def _ask_again(self, unit: UnitId) -> bool:
        worker = self._failed.pop(unit, None)
        if worker is None:
            return True
        self._unanswered[unit] = worker
        return await self._call(unit, worker)

    async def _call(self, unit: UnitId, worker: WorkerId) -> bool:
        """Ask the launch script about a submission, and record its answer; returns False if its code failed."""
        if self._callback is None:
            return True
        submitted = self._units.submitted_unit(unit)
        agent = submitted.assigned_agent
        if agent is not None:
            with trio.move_on_after(FILES_SECONDS):
                await self._uploads.wait_for(agent.agent_id)
        affected = AffectedIds(
            worker=worker,
            unit=unit,
            assignment=submitted.assignment.assignment_id,
            agents=() if agent is None else (agent.agent_id,),
        )
        callback: Callback[bool | None] = ON_EVALUATION_SUBMITTED if submitted.is_evaluation else ON_UNIT_SUBMITTED
        try:
            verdict = await self._user_code.ask(callback, partial(self._callback, submitted), affected)
        except UserCodeError:
            self._note_failure(unit)
            return False
        evaluation = RecordEvaluation(
            task_run=self._run,
            unit=unit,
            worker=worker,
            answer=verdict,
            screening=self._screening_qualifications(),
            golds=self._gold_qualifications(),
        )
        await self._issuer.issue(evaluation)
        return True

    def _note_failure(self, unit: UnitId) -> None:
        worker = self._unanswered.pop(unit, None)
        if worker is not None:
            self._failed[unit] = worker
            self._answered.notify()

    def _screening_qualifications(self) -> ScreeningQualifications | None:
        screening, names = self._context.screening, self._ledger.state.qualifications_by_name
        if screening is None:
            return None
        return ScreeningQualifications(names[screening.passed_qualification], names[screening.failed_qualification])

    def _gold_qualifications(self) -> GoldQualifications | None:
        golds, names = self._context.golds, self._ledger.state.qualifications_by_name
        return None if golds is None else GoldQualifications(*(names[name] for name in golds.qualifications))


def _is_to_be_told(unit: UnitState, engagement: EngagementState) -> bool:
    """Return whether the launch script hears of a unit's submission, if it has not yet.

    A person may have reviewed the work before the script could be asked. Its worker gets no work until an evaluation is
    judged; one that does not evaluate the worker any more is not judged.
    """
    evaluations = engagement.evaluations.values()
    return unit.index >= 0 or any(one.unit == unit.unit and one.outcome == "completed" for one in evaluations)
