"""Maps each command type to the function that decides on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar, cast

from ..commands.admission import (
    AdmitVisit,
    AssignUnit,
    DisqualifyWorker,
    RecordAnswers,
    RecordAssessment,
    RecordConsent,
    RecordEvaluation,
    RecordOnboardingOutcome,
    RecordPlace,
    RecordProviderObservation,
    RecordSiteMessage,
    RefuseWorker,
    RevokeVerdicts,
    StartOnboarding,
    TakeInWork,
    WithdrawConsent,
)
from ..commands.agent import (
    EndAgent,
    EndOnboarding,
    RecordFile,
    RecordLiveUpdate,
    RecordModelQuestion,
    RecordModelReply,
    RecordObservation,
    RecordOnboardingObservation,
    RecordOnboardingUpdate,
    ReleaseWork,
    ReturnUnit,
    SubmitMetadata,
    SubmitOnboarding,
    SubmitUnit,
)
from ..commands.base import Command
from ..commands.directory import (
    BlockWorker,
    CreateProject,
    CreateQualifications,
    EraseWorker,
    GrantQualification,
    PutTaskInProject,
    RegisterRequester,
    RegisterTask,
    RegisterWorker,
    RevokeQualification,
    UnblockWorker,
)
from ..commands.labels import AssessLabels
from ..commands.review import (
    AcceptLateWork,
    DismissAppeal,
    GiveOpinion,
    GrantBonus,
    LabelAssignment,
    PayForOnboarding,
    PayForTime,
    RecordPayment,
    ReviewWork,
    SubmitAppeal,
    WithdrawVerdict,
)
from ..commands.task_run import (
    AddUnits,
    CompleteRun,
    CreateAssignments,
    CreateRun,
    DrainRun,
    ExhaustData,
    ExpireUnits,
    ExtendRun,
    LaunchUnits,
    PauseRun,
    RecordCallbackFailure,
    RecordCallbackRecovery,
    RecordResource,
    RecordRunEvent,
    ReopenRun,
    RepeatAssignment,
    ResumeAdmission,
    StopRun,
)
from ..ports import NewEvent
from ..state.decision_state import DecisionState
from . import (
    assign_work,
    directory,
    end_work,
    erase_worker,
    evaluate_worker,
    launch_work,
    record_facts,
    review,
    task_run,
)
from .labels import assess_labels
from .second_looks import label_assignment, opinions, withdraw_verdict
from .worker_rights import consent, pay_for_time, revoke_verdicts, take_in_work

C = TypeVar("C", bound=Command)

#: A pure function that reads the state and returns the events of a command. It refuses by raising
#: `CommandRefusedError`. It may be called once, at a moment that the writer chooses.
Decision = Callable[[DecisionState, Command], Sequence[NewEvent]]
#: The decision of each command type.
Decisions = Mapping[type[Command], Decision]


def decision(
    command: type[C], decide: Callable[[DecisionState, C], Sequence[NewEvent]]
) -> tuple[type[Command], Decision]:
    """Pair a command type with its decision; the type checker sees that they fit."""
    return command, cast(Decision, decide)


#: The decision of every command there is.
DECISIONS: Decisions = dict(
    (
        decision(CreateProject, directory.decide_create_project),
        decision(PutTaskInProject, directory.decide_put_task_in_project),
        decision(RegisterTask, directory.decide_register_task),
        decision(RegisterRequester, directory.decide_register_requester),
        decision(RegisterWorker, directory.decide_register_worker),
        decision(CreateQualifications, directory.decide_create_qualifications),
        decision(GrantQualification, directory.decide_grant_qualification),
        decision(RevokeQualification, directory.decide_revoke_qualification),
        decision(BlockWorker, directory.decide_block_worker),
        decision(UnblockWorker, directory.decide_unblock_worker),
        decision(EraseWorker, erase_worker.decide_erase_worker),
        decision(CreateRun, task_run.decide_create_run),
        decision(StopRun, task_run.decide_stop_run),
        decision(PauseRun, task_run.decide_pause_run),
        decision(DrainRun, task_run.decide_drain_run),
        decision(ReopenRun, task_run.decide_reopen_run),
        decision(ExtendRun, task_run.decide_extend_run),
        decision(ExhaustData, task_run.decide_exhaust_data),
        decision(AddUnits, task_run.decide_add_units),
        decision(CompleteRun, task_run.decide_complete_run),
        decision(RecordCallbackFailure, task_run.decide_record_callback_failure),
        decision(RecordCallbackRecovery, task_run.decide_record_callback_recovery),
        decision(ResumeAdmission, task_run.decide_resume_admission),
        decision(RecordRunEvent, record_facts.decide_record_run_event),
        decision(RecordResource, record_facts.decide_record_resource),
        decision(CreateAssignments, launch_work.decide_create_assignments),
        decision(RepeatAssignment, launch_work.decide_repeat_assignment),
        decision(LaunchUnits, launch_work.decide_launch_units),
        decision(ExpireUnits, launch_work.decide_expire_units),
        decision(AssessLabels, assess_labels.decide_assess_labels),
        decision(RecordPlace, record_facts.decide_record_place),
        decision(RecordProviderObservation, record_facts.decide_record_provider_observation),
        decision(RecordSiteMessage, record_facts.decide_record_site_message),
        decision(TakeInWork, take_in_work.decide_take_in_work),
        decision(AdmitVisit, assign_work.decide_admit_visit),
        decision(AssignUnit, assign_work.decide_assign_unit),
        decision(StartOnboarding, assign_work.decide_start_onboarding),
        decision(RecordOnboardingOutcome, assign_work.decide_record_onboarding_outcome),
        decision(RefuseWorker, assign_work.decide_refuse_worker),
        decision(DisqualifyWorker, evaluate_worker.decide_disqualify_worker),
        decision(RecordAssessment, evaluate_worker.decide_record_assessment),
        decision(RecordAnswers, evaluate_worker.decide_record_answers),
        decision(RecordEvaluation, evaluate_worker.decide_record_evaluation),
        decision(RevokeVerdicts, revoke_verdicts.decide_revoke_verdicts),
        decision(RecordConsent, consent.decide_record_consent),
        decision(WithdrawConsent, consent.decide_withdraw_consent),
        decision(SubmitUnit, end_work.decide_submit_unit),
        decision(ReturnUnit, end_work.decide_return_unit),
        decision(EndAgent, end_work.decide_end_agent),
        decision(ReleaseWork, end_work.decide_release_work),
        decision(EndOnboarding, end_work.decide_end_onboarding),
        decision(SubmitMetadata, record_facts.decide_submit_metadata),
        decision(RecordFile, record_facts.decide_record_file),
        decision(SubmitOnboarding, record_facts.decide_submit_onboarding),
        decision(RecordLiveUpdate, record_facts.decide_record_live_update),
        decision(RecordOnboardingUpdate, record_facts.decide_record_onboarding_update),
        decision(RecordObservation, record_facts.decide_record_observation),
        decision(RecordModelQuestion, record_facts.decide_record_model_question),
        decision(RecordModelReply, record_facts.decide_record_model_reply),
        decision(RecordOnboardingObservation, record_facts.decide_record_onboarding_observation),
        decision(ReviewWork, review.decide_review_work),
        decision(GiveOpinion, opinions.decide_give_opinion),
        decision(WithdrawVerdict, withdraw_verdict.decide_withdraw_verdict),
        decision(LabelAssignment, label_assignment.decide_label_assignment),
        decision(SubmitAppeal, review.decide_submit_appeal),
        decision(DismissAppeal, review.decide_dismiss_appeal),
        decision(AcceptLateWork, review.decide_accept_late_work),
        decision(GrantBonus, review.decide_grant_bonus),
        decision(PayForTime, pay_for_time.decide_pay_for_time),
        decision(PayForOnboarding, pay_for_time.decide_pay_for_onboarding),
        decision(RecordPayment, record_facts.decide_record_payment),
    )
)
