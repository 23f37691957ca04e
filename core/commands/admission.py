"""Commands that admit workers to a run: assign, onboard, refuse, evaluate."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ...events.base import PayloadRef
from ...events.engagement import (
    ProviderObserved,
    SiteMessageAnswered,
    SiteMessageIntended,
    WorkerAssessed,
    WorkerRefused,
)
from ...events.ids import AgentId, OnboardingAgentId, QualificationId, TaskRunId, UnitId, WorkerId
from ...events.streams import DIRECTORY, partition_of_run
from ..lifecycles.engagement import Answer
from .base import RunAndDirectoryCommand, RunCommand
from .task_run import AssignmentPlan


class Applicant(msgspec.Struct, frozen=True, gc=False):
    """A worker's page that asks for work."""

    worker: WorkerId
    #: Unguessable id by which page and router know the new agent.
    token: str
    #: Pseudonym of the registration id at the provider.
    registration: str


class RequiredEvaluation(msgspec.Struct, frozen=True, gc=False):
    """An evaluation that a worker has to do before, or between, ordinary units."""

    #: `screening` or `gold`.
    kind: str
    #: Assignment that is created for the worker; None if a unit on offer serves as well.
    assignment: AssignmentPlan | None = None
    #: Number of units of this kind that the run may have.
    maximum: int = 0
    #: True if a worker gets nothing once the maximum is reached, False if it then gets an ordinary unit.
    required: bool = True


class ScreeningQualifications(msgspec.Struct, frozen=True, gc=False):
    """Qualifications that record the result of a screening."""

    passed: QualificationId
    failed: QualificationId


class GoldQualifications(msgspec.Struct, frozen=True, gc=False):
    """Qualifications that count a worker's units, and one that disqualifies a worker with too many wrong answers."""

    completed: QualificationId
    correct: QualificationId
    wrong: QualificationId
    disqualified: QualificationId


class AdmitVisit(RunCommand, frozen=True, kw_only=True, tag="admit_visit"):
    """Let a worker in through a link that does not let in everybody, or refuse the worker."""

    worker: WorkerId
    #: Pseudonym of the invitation; None: the page has none and needs none.
    invitation: str | None = None
    #: Pseudonym of the browser.
    session: str | None = None
    #: The number of people who may be let in; None: there is no limit.
    max_people: int | None = None


class RecordPlace(RunCommand, frozen=True, kw_only=True, tag="record_place"):
    """Record the place that a worker holds at the provider; the first one of a registration stands."""

    worker: WorkerId
    #: Pseudonym of the registration id at the provider.
    registration: str
    #: The provider's id of the work.
    handle: PayloadRef
    #: The provider's id of the study; None: it is unknown.
    study: PayloadRef | None = None


class RecordProviderObservation(RunCommand, frozen=True, kw_only=True, tag="record_provider_observation"):
    """Record how the provider shows a place; does nothing if it showed the same before."""

    worker: WorkerId
    observed: ProviderObserved


class RecordSiteMessage(RunCommand, frozen=True, kw_only=True, tag="record_site_message"):
    """Record that the provider's site is asked to pass on a message, or what it answered."""

    worker: WorkerId
    event: SiteMessageIntended | SiteMessageAnswered


class TakeInWork(RunCommand, frozen=True, kw_only=True, tag="take_in_work"):
    """Record work that a worker completed at the provider and no page submitted; does nothing if one did meanwhile.

    A worker without an agent gets one, with a unit on offer, whatever the limits of the run: the work is done.
    """

    applicant: Applicant
    #: Id of the new agent, if the registration has none.
    agent: AgentId
    #: The provider's id of the work; None: the place is recorded already.
    handle: PayloadRef | None = None
    #: The provider's id of the study; None: it is unknown.
    study: PayloadRef | None = None
    #: The facts that the site shows about the work.
    submission: PayloadRef


class AssignUnit(RunCommand, frozen=True, kw_only=True, tag="assign_unit"):
    """Assign a unit to the applicant, or refuse the applicant with the rule that was not met."""

    applicant: Applicant
    #: Id of the new agent.
    agent: AgentId
    #: True if the units of an assignment are worked on together; agents then wait for each other.
    concurrent: bool
    #: Units that the task's own code allows for this worker; None if it does not restrict them.
    eligible_units: tuple[UnitId, ...] | None = None
    #: True while units are being launched: an applicant for whom there is none is not refused yet.
    more_to_come: bool = False
    #: Agents that wait for partners and whose pages did not answer: nobody is made their partner.
    absent: tuple[AgentId, ...] = ()
    #: Evaluation that replaces the ordinary unit.
    evaluation: RequiredEvaluation | None = None
    #: Runs of the same task whose units count against the worker's maximum, beside this one.
    counted_runs: tuple[TaskRunId, ...] = ()

    @property
    def partitions(self) -> tuple[str, ...]:
        """The partition of the run, and if other runs are counted the directory and theirs, in order of names."""
        if not self.counted_runs:
            return super().partitions
        return (DIRECTORY, *sorted({partition_of_run(run) for run in (self.task_run, *self.counted_runs)}))


class StartOnboarding(RunCommand, frozen=True, kw_only=True, tag="start_onboarding"):
    """Start the onboarding of the applicant, or refuse the applicant with the rule that was not met."""

    applicant: Applicant
    #: Id of the new onboarding agent.
    agent: OnboardingAgentId
    #: What the page is given; None for nothing.
    inputs: PayloadRef | None = None


class RefuseWorker(RunCommand, frozen=True, kw_only=True, tag="refuse_worker"):
    """Record that a worker gets no work, and the rule that was not met."""

    worker: WorkerId
    refusal: WorkerRefused


class DisqualifyWorker(RunAndDirectoryCommand, frozen=True, kw_only=True, tag="disqualify_worker"):
    """Refuse a worker with too many wrong gold units, in this run and all later ones."""

    worker: WorkerId
    #: Answer of the launch script, with the facts that it rests on.
    assessment: WorkerAssessed
    golds: GoldQualifications


class RecordAssessment(RunCommand, frozen=True, kw_only=True, tag="record_assessment"):
    """Record what the launch script's own code answered about a worker as a whole."""

    worker: WorkerId
    assessment: WorkerAssessed


class RecordAnswers(RunCommand, frozen=True, kw_only=True, tag="record_answers"):
    """Record what the launch script's own code answered about a worker and units; the first answer stands."""

    worker: WorkerId
    #: For instance `worker_can_do_unit`.
    callback: str
    answers: Mapping[UnitId, Answer]


class RecordEvaluation(RunAndDirectoryCommand, frozen=True, kw_only=True, tag="record_evaluation"):
    """Record the launch script's answer to a submission, and its consequences for the worker.

    Does nothing if the answer was recorded before.
    """

    unit: UnitId
    worker: WorkerId
    #: True: done well. False: not done well. Anything else has no consequences.
    answer: Answer
    #: Granted after a screening, if the run has screenings.
    screening: ScreeningQualifications | None = None
    #: Granted after a gold unit or an ordinary one, if the run has gold units.
    golds: GoldQualifications | None = None


class RecordOnboardingOutcome(RunAndDirectoryCommand, frozen=True, kw_only=True, tag="record_onboarding_outcome"):
    """Record whether a worker passed the onboarding; a qualification keeps it for all later runs."""

    agent: OnboardingAgentId
    qualification: QualificationId
    passed: bool


class RecordConsent(RunCommand, frozen=True, kw_only=True, tag="record_consent"):
    """Record whether a worker agrees to the run's text of consent; does nothing if that is recorded already."""

    worker: WorkerId
    #: Version of the text that the worker has read.
    version: str
    given: bool


class WithdrawConsent(RunCommand, frozen=True, kw_only=True, tag="withdraw_consent"):
    """Record that a worker withdraws the consent, and delete what the worker sent in the run.

    Refused while the worker is at work, or while submitted work waits for its verdict.
    """

    worker: WorkerId
    reason: str
    #: Commitments of the payloads to delete.
    payloads: tuple[str, ...] = ()


class RevokeVerdicts(RunAndDirectoryCommand, frozen=True, kw_only=True, tag="revoke_verdicts"):
    """Let what a function of the task's code said against a worker not count; does nothing if it said nothing."""

    worker: WorkerId
    #: For instance `validate_onboarding`.
    callback: str
    reason: str
    #: The qualifications that record such verdicts, as far as the run has them.
    onboarding: QualificationId | None = None
    screening: ScreeningQualifications | None = None
    golds: GoldQualifications | None = None


AnyAdmissionCommand = (
    AdmitVisit
    | RecordPlace
    | RecordProviderObservation
    | RecordSiteMessage
    | TakeInWork
    | AssignUnit
    | StartOnboarding
    | RefuseWorker
    | DisqualifyWorker
    | RecordAssessment
    | RecordAnswers
    | RecordEvaluation
    | RecordOnboardingOutcome
    | RevokeVerdicts
    | RecordConsent
    | WithdrawConsent
)
