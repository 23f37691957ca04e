"""Writes random legal histories of whole runs.

Where the project decides over several entities, the generator asks the same decisions; everything else is a walk along
the lifecycles' tables. The decision state is the oracle: it takes no illegal step.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from mephisto_es.core.commands.admission import Applicant, AssignUnit
from mephisto_es.core.commands.agent import EndAgent, RecordFile, SubmitUnit
from mephisto_es.core.commands.labels import AssessLabels, ItemAnswers
from mephisto_es.core.commands.review import (
    AcceptLateWork,
    DismissAppeal,
    GiveOpinion,
    GrantBonus,
    LabelAssignment,
    ReviewWork,
    SubmitAppeal,
    Verdict,
    WithdrawVerdict,
)
from mephisto_es.core.commands.task_run import AssignmentPlan, ExpireUnits, LaunchUnits, RecordCallbackFailure, UnitPlan
from mephisto_es.core.decisions.assign_work import decide_assign_unit
from mephisto_es.core.decisions.end_work import decide_end_agent, decide_submit_unit
from mephisto_es.core.decisions.labels.assess_labels import decide_assess_labels
from mephisto_es.core.decisions.launch_work import creation_events, decide_expire_units, decide_launch_units
from mephisto_es.core.decisions.record_facts import decide_record_file
from mephisto_es.core.decisions.review import (
    decide_accept_late_work,
    decide_dismiss_appeal,
    decide_grant_bonus,
    decide_review_work,
    decide_submit_appeal,
)
from mephisto_es.core.decisions.second_looks.label_assignment import decide_label_assignment
from mephisto_es.core.decisions.second_looks.opinions import decide_give_opinion
from mephisto_es.core.decisions.second_looks.withdraw_verdict import decide_withdraw_verdict
from mephisto_es.core.decisions.task_run import decide_record_callback_failure
from mephisto_es.core.errors import CommandRefusedError
from mephisto_es.core.lifecycles.agent import AGENT, AgentRecord, AgentStatus, AppealStatus
from mephisto_es.core.lifecycles.onboarding import ONBOARDING
from mephisto_es.core.lifecycles.payment import PaymentStatus
from mephisto_es.core.lifecycles.resource import RESOURCE
from mephisto_es.core.lifecycles.task_run import TASK_RUN, TaskRunStatus
from mephisto_es.core.lifecycles.unit import UNIT, UnitStatus
from mephisto_es.core.lifecycles.worker import WORKER, WorkerStatus
from mephisto_es.core.ports import AppendRequest, NewEvent
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.core.state.label_model import StopRule
from mephisto_es.events import agent, ids, streams
from mephisto_es.events.base import FileRef, PayloadRef
from mephisto_es.events.engagement import (
    CallbackAnswered,
    ConsentGiven,
    ConsentRefused,
    ConsentWithdrawn,
    PlaceTaken,
    ProviderObserved,
    SiteMessageAnswered,
    SiteMessageIntended,
    SiteWorkStatus,
    VerdictsRevoked,
    VisitAdmitted,
    WorkerArrived,
    WorkerAssessed,
    WorkerExcluded,
    WorkerOnboarded,
    WorkerRefused,
)
from mephisto_es.events.onboarding import OnboardingFailed, OnboardingPassed, OnboardingReturned, OnboardingStarted
from mephisto_es.events.payment import (
    PaymentConfirmed,
    PaymentFailed,
    PaymentInDoubt,
    PaymentIntended,
    PaymentLooked,
    PaymentRequested,
    PaymentSent,
    PaymentSettledPaid,
    PaymentSettledUnpaid,
)
from mephisto_es.events.records import (
    ProjectCreated,
    QualificationCreated,
    RequesterRegistered,
    TaskPutInProject,
    TaskRegistered,
)
from mephisto_es.events.resource import ResourceIntended
from mephisto_es.events.task_run import (
    CallbackFailed,
    CallbackRecovered,
    SiteListAnswered,
    SiteListIntended,
    SiteListObserved,
    TaskRunAdmissionPaused,
    TaskRunAdmissionResumed,
    TaskRunBudgetChanged,
    TaskRunCompleted,
    TaskRunCreated,
    TaskRunDataAdded,
    TaskRunDeployed,
    TaskRunDraining,
    TaskRunFailed,
    TaskRunOfferChanged,
    TaskRunPrepared,
    TaskRunUnitsRaised,
    TaskRunWentLive,
)
from mephisto_es.events.unit import UnitReopened
from mephisto_es.events.worker import (
    QualificationChanged,
    QualificationGranted,
    QualificationRevoked,
    WorkerErased,
    WorkerRegistered,
)

from .random_values import RandomValues

_ASKED = (PaymentIntended, PaymentRequested)
#: Ways that payments take once they are owed.
PAYMENT_PATHS = (
    (*_ASKED, PaymentSent, PaymentSettledUnpaid, PaymentSettledPaid),
    (*_ASKED, PaymentFailed, PaymentSettledPaid),
    (*_ASKED, PaymentInDoubt, PaymentLooked, PaymentConfirmed),
)
#: 2026-01-01 in microseconds.
BEGINNING = 1_767_225_600_000_000
#: Few runs and names, so that workers meet in them.
MAX_RUNS = 3
MAX_RECORDS = 3
MOST_WORKERS = 8
#: Units of a run that nobody has finished.
MOST_OPEN_UNITS = 8

Events = list[NewEvent]


#: Events about functions of the task's code; random histories have few of them.
#: What only a person or a site does to a run; histories do without.
ONLY_BY_PEOPLE = (
    TaskRunBudgetChanged,
    TaskRunDataAdded,
    TaskRunDraining,
    TaskRunOfferChanged,
    TaskRunUnitsRaised,
    SiteListIntended,
    SiteListAnswered,
    SiteListObserved,
    SiteMessageIntended,
    SiteMessageAnswered,
)
_ABOUT_CALLBACKS = (CallbackFailed, CallbackRecovered, TaskRunAdmissionPaused, TaskRunAdmissionResumed)


class HistoryGenerator(RandomValues):
    """Writes a history, a request at a time.

    Attributes:
        state: the present state after all that is written.
        requests: what is written.
    """

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.state = DecisionState()
        self.requests: list[AppendRequest] = []
        self._at = BEGINNING
        self._chats: set[ids.TaskRunId] = set()
        self._moves = (
            self._record,
            self._register_worker,
            self._change_worker,
            self._create_run,
            self._change_run,
            self._intend_resource,
            self._change_resource,
            *[self._create_assignment] * 2,
            self._assess_label,
            *[self._launch_unit] * 4,
            *[self._take_unit] * 16,
            *[self._submit] * 8,
            self._store_file,
            self._leave,
            self._chat,
            *[self._review] * 3,
            self._give_bonus,
            self._expire_unit,
            self._reopen_unit,
            self._ask_callback,
            self._change_callbacks,
            self._start_onboarding,
            *[self._change_onboarding] * 2,
        )

    def write(self, moves: int) -> None:
        """Make moves at random; one that is not possible when its turn comes writes nothing."""
        for _ in range(moves):
            self._request(self._random.choice(self._moves)())

    def begin(self) -> None:
        """A live run with a unit on offer and two workers, so that short histories are worth something."""
        self._request(self._record())
        self._request(self._create_run())
        run = self._streams["task_run"][0]
        for kind in (TaskRunPrepared, TaskRunDeployed, TaskRunWentLive):
            self._request([NewEvent(run, self._fill(kind))])
        for move in (self._register_worker, self._register_worker, self._create_assignment, self._launch_unit):
            self._request(move())

    def _request(self, events: Events) -> None:
        payloads, self._payloads = tuple(self._payloads), []
        if not events:
            return
        self.state.check(events)
        for stream, event in events:
            self.state.evolve(stream, event)
            if self.state.version(stream) == 1:
                self._streams[streams.category_of(stream)].append(stream)
        self._at += self._random.choice((0, 1, 999, 1_500_000))
        self.requests.append(
            AppendRequest(
                command=f"command-{len(self.requests)}",
                actor=self._random.choice(("operator", "reviewer", "worker/1")),
                at=self._at,
                events=tuple(events),
                payloads=payloads,
            )
        )

    # The directory, workers, runs and what they hold outside

    def _record(self) -> Events:
        if len(self._streams["task"]) >= MAX_RECORDS:
            return []
        task, requester = ids.TaskId(self._next()), ids.RequesterId(self._next())
        qualification, project = ids.QualificationId(self._next()), ids.ProjectId(self._next())
        return [
            NewEvent(streams.project(project), ProjectCreated(project=project, name=f"project {project}")),
            NewEvent(streams.task(task), TaskRegistered(task=task, name=f"task {task}", task_type="static_task")),
            NewEvent(streams.task(task), TaskPutInProject(project=project)),
            NewEvent(
                streams.requester(requester),
                RequesterRegistered(requester=requester, name=f"requester {requester}", provider_type="mock"),
            ),
            NewEvent(
                streams.qualification(qualification),
                QualificationCreated(qualification=qualification, name=f"qualification {qualification}"),
            ),
        ]

    def _register_worker(self) -> Events:
        if len(self._streams["worker"]) >= MOST_WORKERS:
            return []
        worker = ids.WorkerId(self._next())
        registered = WorkerRegistered(
            worker=worker,
            provider_type="mock",
            name=self._text(f"Zoë {worker}", worker),
            identity=f"identity {worker}",
        )
        return [NewEvent(streams.worker(worker), registered)]

    def _change_worker(self) -> Events:
        stream = self._pick("worker")
        state = self.state.workers[stream]
        kind = self._kind(WORKER, state.status)
        qualification = ids.QualificationId(self._id("qualification"))
        held = qualification in state.qualifications
        senseless = {QualificationGranted} if held else {QualificationChanged, QualificationRevoked}
        if kind is None or kind in senseless or (kind is WorkerErased and not self._seldom()):
            return []
        return [NewEvent(stream, self._fill(kind, qualification=qualification))]

    def _create_run(self) -> Events:
        if len(self._streams["task_run"]) >= MAX_RUNS:
            return []
        run = ids.TaskRunId(self._next())
        if self._random.randint(0, 1):
            self._chats.add(run)
        created = TaskRunCreated(
            task_run=run,
            task=ids.TaskId(self._id("task")),
            requester=ids.RequesterId(self._id("requester")),
            blueprint_type="static_task",
            architect_type="mock",
            provider_type=self._random.choice(("mock", "inhouse")),
            config='{"task_title": "Rate"}',
            allowed_concurrent=self._random.choice((0, 0, 1)),
            maximum_units_per_worker=self._random.choice((0, 0, 3)),
            maximum_is_per_task=bool(self._random.randint(0, 1)),
        )
        return [NewEvent(streams.task_run(run), created)]

    def _change_run(self) -> Events:
        stream = self._pick("task_run")
        status = self.state.task_runs[stream].status
        kind = self._kind(TASK_RUN, status, without=(*_ABOUT_CALLBACKS, *ONLY_BY_PEOPLE))
        if kind is None:
            return []
        if kind is TaskRunCompleted:
            return [*self._end_all_work(streams.run_of(stream)), NewEvent(stream, self._fill(kind))]
        # A run that is live stays so for a while, or nobody would get much work.
        if (kind is TaskRunFailed or status is TaskRunStatus.LIVE) and not self._seldom():
            return []
        return [NewEvent(stream, self._fill(kind))]

    def _change_callbacks(self) -> Events:
        """A failure of one of two functions, so that one fails three times in a row now and then, or its end."""
        stream = self._pick("task_run")
        run, status = streams.run_of(stream), self.state.task_runs[stream].status
        kind = self._random.choice((*_ABOUT_CALLBACKS, CallbackFailed))
        if not TASK_RUN.allows(status, kind):
            return []
        if kind is not CallbackFailed:
            return [NewEvent(stream, self._fill(kind))]
        worker = ids.WorkerId(self._id("worker"))
        failed = CallbackFailed(
            function=self._random.choice(("validate_onboarding", "run_unit")),
            error="raised ValueError",
            location="run_task.py:12",
            message=self._text("no answer of Zoë", worker),
            worker=worker,
        )
        return decide_record_callback_failure(self.state, RecordCallbackFailure(task_run=run, failure=failed))

    def _end_all_work(self, run: ids.TaskRunId) -> Events:
        """Events after which a run is idle."""
        index = self.state.runs[run]
        return [
            *self._expire(run, sorted(index.open_units), "the run ends"),
            *(
                NewEvent(streams.onboarding_agent(run, number), OnboardingReturned(reason="the run ends"))
                for number in sorted(index.live_onboardings)
            ),
        ]

    def _intend_resource(self) -> Events:
        run = streams.run_of(self._pick("task_run"))
        intended = ResourceIntended(resource_type="local_router", details={"port": 3000})
        return [NewEvent(streams.resource(run, self._next()), intended)]

    def _change_resource(self) -> Events:
        if not self._streams["resource"]:
            return []
        stream = self._pick("resource")
        kind = self._kind(RESOURCE, self.state.resources[stream].status)
        return [NewEvent(stream, self._fill(kind))] if kind else []

    # Units and agents

    def _create_assignment(self) -> Events:
        run = streams.run_of(self._pick("task_run"))
        if len(self.state.runs[run].open_units) >= MOST_OPEN_UNITS:
            return []
        plan = AssignmentPlan(
            assignment=ids.AssignmentId(self._next()),
            number=len(self.state.runs[run].units_of),
            data=self._json({"shared": {"text": "All happy families"}, "unit_data": [{}, {}]}),
            units=tuple(
                UnitPlan(ids.UnitId(self._next()), index, self._random.choice((0, 7, 25, 1234)))
                for index in range(2 if run in self._chats else 1)
            ),
        )
        return creation_events(run, [plan])

    def _launch_unit(self) -> Events:
        created = [stream for stream in self._streams["unit"] if self.state.units[stream].status is UnitStatus.CREATED]
        if not created:
            return []
        stream = self._random.choice(created)
        run, unit = streams.run_of(stream), self.state.units[stream]
        units = tuple(self.state.runs[run].units_of[unit.assignment])
        return decide_launch_units(self.state, LaunchUnits(task_run=run, units=units))

    def _take_unit(self) -> Events:
        runs = [streams.run_of(stream) for stream in self._streams["task_run"]]
        offering = [run for run in runs if self.state.runs[run].offered]
        if not offering and not self._seldom():
            return []
        run = self._random.choice(offering or runs)
        number = self._next()
        applicant = Applicant(
            worker=ids.WorkerId(self._id("worker")),
            token=f"token {number}",
            registration=f"registration {number}",
        )
        command = AssignUnit(
            task_run=run, applicant=applicant, agent=ids.AgentId(number), concurrent=run in self._chats
        )
        decided = decide_assign_unit(self.state, command)
        is_refusal = any(isinstance(new.event, WorkerRefused) for new in decided)
        return decided if not is_refusal or self._seldom() else []

    def _pick_agent(self) -> tuple[str, AgentRecord] | None:
        if not self._streams["agent"]:
            return None
        stream = self._pick("agent")
        return stream, self.state.agents[stream]

    def _pick_left_partner(self) -> tuple[str, AgentRecord] | None:
        """An agent whose partner has left, if there is one."""
        left = [
            stream
            for stream in self._streams["agent"]
            if self.state.agents[stream].status is AgentStatus.PARTNER_DISCONNECT
        ]
        stream = self._random.choice(left) if left else None
        return None if stream is None else (stream, self.state.agents[stream])

    def _submit(self) -> Events:
        found = self._pick_agent()
        if found is None:
            return []
        stream, state = found
        again = AGENT.allows(state.status, agent.AgentSubmittedAgain) and self._seldom()
        late = AGENT.allows(state.status, agent.AgentSubmittedLate) and self._seldom()
        if not (AGENT.allows(state.status, agent.AgentSubmitted) or again or late):
            return []
        files = (FileRef(filename=f"{self._next()}.png", size=3, sha256="a" * 64),)
        submission = self._json({"rating": self._random.randint(1, 5)}, state.worker)
        has_files = self._seldom()
        details = [{"filename": files[0].filename, "fieldname": "photo", "originalname": "me.png", "size": 3}]
        command = SubmitUnit(
            task_run=streams.run_of(stream),
            agent=state.agent,
            submission=submission,
            files=files if has_files else (),
            file_details=self._json(details, state.worker) if has_files else None,
        )
        engagement = self.state.engagements[streams.engagement(command.task_run, state.worker)]
        is_erased = self.state.workers[streams.worker(state.worker)].status is WorkerStatus.ERASED
        return [] if is_erased or engagement.has_withdrawn else decide_submit_unit(self.state, command)

    def _store_file(self) -> Events:
        found = [stream for stream in self._streams["agent"] if self.state.agents[stream].awaited_files]
        if not found:
            return []
        stream = self._random.choice(found)
        state = self.state.agents[stream]
        name = state.awaited_files[0].filename
        stored = agent.AgentFileStored(filename=name)
        lost = agent.AgentFileLost(filename=name, reason=self._random.choice(tuple(agent.FileLoss)))
        command = RecordFile(
            task_run=streams.run_of(stream), agent=state.agent, event=self._random.choice((lost, stored))
        )
        return decide_record_file(self.state, command)

    def _leave(self) -> Events:
        found = self._pick_left_partner() or self._pick_agent()
        if found is None:
            return []
        stream, state = found
        if not AGENT.allows(state.status, agent.AgentReturned):
            return []
        kinds = (agent.AgentReturned, agent.AgentDisconnected, agent.AgentTimedOut, agent.AgentExpired)
        leaving = self._random.choice(kinds)(reason="gone")
        run = streams.run_of(stream)
        command = EndAgent(task_run=run, agent=state.agent, departure=leaving, concurrent=run in self._chats)
        return decide_end_agent(self.state, command)

    def _chat(self) -> Events:
        found = self._pick_agent()
        if found is None:
            return []
        stream, state = found
        sent = self._json({"text": "hello"}, state.worker)
        events = (
            agent.AgentUpdateReceived(number=state.received + 1, update_id=f"u{self._next()}", update=sent),
            agent.AgentObserved(number=state.observed + 1, update_id=f"u{self._next()}", update=sent),
            agent.AgentMetadataReceived(metadata=sent),
            agent.AgentModelAsked(number=state.model_questions + 1, model="m", request=sent, limit_cents=0),
            agent.AgentModelReplied(number=state.model_questions, model="m", reply=sent, latency_ms=7),
        )
        return [NewEvent(stream, self._random.choice(events))]

    def _review(self) -> Events:
        found = self._pick_agent()
        if found is None:
            return []
        stream, state = found
        note = self._text("thank you", state.worker) if self._random.randint(0, 1) else None
        bonus = self._random.choice((0, 50))
        verdict = self._random.choice(tuple(Verdict))
        if AGENT.allows(state.status, agent.AgentLateAccepted) and state.submission:
            return self._accept_late(stream, state, note)
        if state.status is AgentStatus.REJECTED and (appeal := self._appeal(stream, state, note)):
            return appeal
        if AGENT.allows(state.status, agent.AgentVerdictWithdrawn) and self._random.randint(0, 2) == 0:
            return self._withdraw_verdict(stream, state, note)
        if AGENT.allows(state.status, agent.AgentOpinionGiven) and not state.opinions and self._seldom():
            given = GiveOpinion(
                task_run=streams.run_of(stream), agent=state.agent, verdict=verdict, note=note, reviewer="user/bob"
            )
            return self._attempt(lambda: decide_give_opinion(self.state, given))
        command = ReviewWork(
            adjudicates=len(state.opinions) > 1,
            task_run=streams.run_of(stream),
            agent=state.agent,
            verdict=verdict,
            note=note,
            bonus_cents=bonus if verdict is Verdict.APPROVED else 0,
            pay_payment=ids.PaymentId(self._next()),
            bonus_payment=ids.PaymentId(self._next()),
            reviewer="user/ann",
        )
        try:
            events = decide_review_work(self.state, command)
            self.state.check(events)
        except CommandRefusedError:
            return []
        labelled = self._label_assignment(streams.run_of(stream), state, note) if state.agent % 2 else []
        return [*events, *labelled, *self._pay()]

    def _label_assignment(self, run: ids.TaskRunId, state: AgentRecord, note: PayloadRef | None) -> Events:
        before = self.state.assignments[streams.assignment(run, state.assignment)].label_of("label")
        taken_back = before is not None and not before.is_taken_back
        command = LabelAssignment(
            task_run=run,
            assignment=state.assignment,
            question="label",
            label=None if taken_back else self._json("cat", state.worker),
            units=(state.unit,),
            note=note,
            reviewer="user/ann",
            after=0 if before is None else before.decisions,
            worker=state.worker,
        )
        return self._attempt(lambda: decide_label_assignment(self.state, command))

    def _withdraw_verdict(self, stream: str, state: AgentRecord, reason: PayloadRef | None) -> Events:
        command = WithdrawVerdict(
            task_run=streams.run_of(stream), agent=state.agent, reason=reason, reviewer="user/ann"
        )
        return self._attempt(lambda: decide_withdraw_verdict(self.state, command))

    def _attempt(self, decide: Callable[[], Events]) -> Events:
        try:
            return decide()
        except CommandRefusedError:
            return []

    def _appeal(self, stream: str, state: AgentRecord, text: PayloadRef | None) -> Events:
        run = streams.run_of(stream)
        if state.appeal is None and text is not None:
            return decide_submit_appeal(self.state, SubmitAppeal(task_run=run, agent=state.agent, objection=text))
        if state.appeal is AppealStatus.OPEN and text is not None:
            dismissal = DismissAppeal(task_run=run, agent=state.agent, answer=text, reviewer="user/ann")
            return decide_dismiss_appeal(self.state, dismissal)
        return []

    def _accept_late(self, stream: str, state: AgentRecord, note: PayloadRef | None) -> Events:
        command = AcceptLateWork(
            task_run=streams.run_of(stream), agent=state.agent, note=note, payment=ids.PaymentId(self._next())
        )
        try:
            return decide_accept_late_work(self.state, command)
        except CommandRefusedError:
            return []

    def _give_bonus(self) -> Events:
        worker = ids.WorkerId(self._id("worker"))
        reason = self._text("thank you again", worker)
        payment = ids.PaymentId(self._next())
        work = [stream for stream, agent in self.state.agents.items() if agent.worker == worker]
        if not work:
            return []
        command = GrantBonus(
            task_run=streams.run_of(work[-1]),
            agent=self.state.agents[work[-1]].agent,
            bonus_cents=5,
            reason=reason,
            payment=payment,
        )
        try:
            return [*decide_grant_bonus(self.state, command), *self._pay()]
        except CommandRefusedError:
            return []

    def _pay(self) -> Events:
        """The next step of the first payment that has not arrived."""
        for stream in self._streams["payment"]:
            if self.state.payments[stream].status not in (PaymentStatus.CONFIRMED, PaymentStatus.WITHDRAWN):
                path = PAYMENT_PATHS[int(stream.rpartition("/")[2]) % len(PAYMENT_PATHS)]
                return [NewEvent(stream, self._fill(path[self.state.version(stream) - 1]))]
        return []

    def _assess_label(self) -> Events:
        """What follows from made-up answers to an item: further units, or no more."""
        if not self._streams["assignment"]:
            return []
        stream = self._pick("assignment")
        run, assignment = streams.run_of(stream), self.state.assignments[stream].created.assignment
        agents = self.state.counted_agents(run, assignment)
        if run in self._chats or not agents:
            return []
        number = len(self.state.runs[run].units_of[assignment])
        item = ItemAnswers(
            assignment,
            agents,
            tuple(self._random.choice((0, 1, 1, None)) for _ in agents),
            tuple(UnitPlan(ids.UnitId(self._next()), number + more, 25) for more in range(2)),
        )
        command = AssessLabels(
            task_run=run,
            question="label",
            classes=("cat", "dog"),
            accuracy=0.8,
            estimated_from=None,
            rule=StopRule(0.75, 1, 3),
            items=(item,),
        )
        return decide_assess_labels(self.state, command)

    def _expire_unit(self) -> Events:
        if not self._streams["unit"]:
            return []
        stream = self._pick("unit")
        run = streams.run_of(stream)
        if not (self._seldom() and self._seldom()):
            return []
        units = sorted(self.state.runs[run].open_units) if self._seldom() else [self.state.units[stream].unit]
        return self._expire(run, units, "nobody came")

    def _expire(self, run: ids.TaskRunId, units: list[ids.UnitId], reason: str) -> Events:
        return decide_expire_units(self.state, ExpireUnits(task_run=run, units=tuple(units), reason=reason))

    def _reopen_unit(self) -> Events:
        if not self._streams["unit"]:
            return []
        stream = self._pick("unit")
        legal = UNIT.allows(self.state.units[stream].status, UnitReopened)
        return [NewEvent(stream, UnitReopened(reason="once more"))] if legal else []

    # Onboarding

    def _start_onboarding(self) -> Events:
        run, worker = streams.run_of(self._pick("task_run")), ids.WorkerId(self._id("worker"))
        if self.state.workers[streams.worker(worker)].status is WorkerStatus.ERASED:
            return []
        number = ids.OnboardingAgentId(self._next())
        engagement = streams.engagement(run, worker)
        started = OnboardingStarted(
            agent=number,
            worker=worker,
            token=f"onboarding_{number}",
            registration=f"registration {number}",
            inputs=self._seal(b'{"trial": 1}', None) if number % 2 else None,
        )
        events = [NewEvent(streams.onboarding_agent(run, number), started)]
        if self.state.engagements.get(engagement) is None:
            events.insert(0, NewEvent(engagement, WorkerArrived(worker=worker)))
        return events

    def _ask_callback(self) -> Events:
        if not self._streams["engagement"]:
            return []
        stream = self._pick("engagement")
        worker = self.state.engagements[stream].worker
        is_erased = self.state.workers[streams.worker(worker)].status is WorkerStatus.ERASED
        kinds = (CallbackAnswered, WorkerAssessed) if is_erased else (CallbackAnswered, WorkerAssessed, PlaceTaken)
        kind = self._random.choice(kinds)
        places = self.state.engagements[stream].places
        if kind is PlaceTaken and places:
            # Without a draw, so that the histories of earlier seeds stay as they were.
            statuses = list(SiteWorkStatus)
            return [
                NewEvent(
                    stream,
                    ProviderObserved(
                        registration=next(iter(places)), status=statuses[self._serial % len(statuses)], bonus_cents=30
                    ),
                )
            ]
        answers = self.state.engagements[stream].answers
        if kind is WorkerAssessed and answers and self._serial % 2:
            callback, unit = next(iter(answers))
            return [NewEvent(stream, VerdictsRevoked(callback=callback, reason="it was at fault", units=(unit,)))]
        if kind is WorkerAssessed and self._serial % 5 == 0:
            return [NewEvent(stream, VisitAdmitted(invitation=f"invitation {self._serial}", session="browser"))]
        if kind is CallbackAnswered and self._serial % 5 == 0:
            changes = (
                ConsentGiven(version="1"),
                ConsentRefused(version="1"),
                ConsentWithdrawn(reason="the worker asked for it"),
            )
            return [NewEvent(stream, changes[self._serial // 5 % 3])]
        return [NewEvent(stream, self._fill(kind, subject=worker))]

    def _change_onboarding(self) -> Events:
        if not self._streams["onboarding_agent"]:
            return []
        stream = self._pick("onboarding_agent")
        state = self.state.onboardings[stream]
        kind = self._kind(ONBOARDING, state.status)
        if kind is None:
            return []
        events = [NewEvent(stream, self._fill(kind, subject=state.worker))]
        engagement = streams.engagement(streams.run_of(stream), state.worker)
        if kind is OnboardingPassed:
            events.append(NewEvent(engagement, WorkerOnboarded(agent=state.agent)))
        if kind is OnboardingFailed:
            events.append(NewEvent(engagement, WorkerExcluded(reason="onboarding")))
        return events
