"""Lifecycle of an agent: a worker at work on one unit."""

from __future__ import annotations

from enum import Enum
from typing import assert_never

import msgspec
from msgspec.structs import replace

from ...events.agent import (
    AgentAccepted,
    AgentAppealDismissed,
    AgentAppealed,
    AgentApproved,
    AgentBonusGranted,
    AgentCompletedAlone,
    AgentDisconnected,
    AgentEvent,
    AgentExpired,
    AgentFileLost,
    AgentFileStored,
    AgentLateAccepted,
    AgentMetadataReceived,
    AgentModelAsked,
    AgentModelReplied,
    AgentObserved,
    AgentOpinionGiven,
    AgentPartnerLeft,
    AgentRejected,
    AgentReturned,
    AgentSoftRejected,
    AgentStarted,
    AgentSubmitted,
    AgentSubmittedAgain,
    AgentSubmittedLate,
    AgentTimedOut,
    AgentUpdateReceived,
    AgentVerdictWithdrawn,
    AgentWaiting,
    Opinion,
)
from ...events.base import FileRef, PayloadRef
from ...events.ids import AgentId, AssignmentId, PaymentId, UnitId, WorkerId
from .table import Lifecycle, Status, existing, stays, step

_ReviewEvent = (
    AgentOpinionGiven
    | AgentRejected
    | AgentAppealed
    | AgentAppealDismissed
    | AgentApproved
    | AgentSoftRejected
    | AgentVerdictWithdrawn
)


class AgentStatus(Status):
    """Status of an agent, in Mephisto's words."""

    ACCEPTED = "accepted"
    WAITING = "waiting"
    IN_TASK = "in task"
    COMPLETED = "completed"
    APPROVED = "approved"
    SOFT_REJECTED = "soft_rejected"
    REJECTED = "rejected"
    DISCONNECT = "disconnect"
    TIMEOUT = "timeout"
    RETURNED = "returned"
    EXPIRED = "expired"
    PARTNER_DISCONNECT = "partner disconnect"


class AppealStatus(Enum):
    """Status of a worker's objection to a rejection."""

    OPEN = "open"
    #: The rejection stands.
    DISMISSED = "dismissed"
    #: The work was approved after all.
    ACCEPTED = "accepted"


_S = AgentStatus

#: Statuses in which the worker has the unit.
LIVE_AGENT_STATUSES = (_S.ACCEPTED, _S.WAITING, _S.IN_TASK)
_MAY_SUBMIT = (_S.IN_TASK, _S.PARTNER_DISCONNECT)
#: Statuses of an agent that may still do something: submit, or leave.
AT_WORK_STATUSES = (*LIVE_AGENT_STATUSES, _S.PARTNER_DISCONNECT)
_REVIEWABLE = (_S.COMPLETED, _S.REJECTED, _S.SOFT_REJECTED)
#: Statuses of an agent whose work was submitted, in time or accepted later.
SUBMITTED_STATUSES = (*_REVIEWABLE, _S.APPROVED)
#: Statuses of an agent whose work ended without a submission; one that comes later is late.
LATE_STATUSES = (_S.DISCONNECT, _S.TIMEOUT, _S.RETURNED, _S.EXPIRED)

AGENT = Lifecycle(
    "agent",
    AgentStatus,
    (
        step(AgentAccepted, None, _S.ACCEPTED),
        step(AgentWaiting, _S.ACCEPTED, _S.WAITING),
        step(AgentStarted, (_S.ACCEPTED, _S.WAITING), _S.IN_TASK),  # a worker alone does not wait
        step(AgentSubmitted, _MAY_SUBMIT, _S.COMPLETED),
        step(AgentPartnerLeft, (_S.WAITING, _S.IN_TASK), _S.PARTNER_DISCONNECT),
        step(AgentCompletedAlone, _S.PARTNER_DISCONNECT, _S.COMPLETED),  # nobody pays for a partner who left
        step(AgentDisconnected, AT_WORK_STATUSES, _S.DISCONNECT),
        step(AgentTimedOut, AT_WORK_STATUSES, _S.TIMEOUT),
        step(AgentReturned, AT_WORK_STATUSES, _S.RETURNED),
        step(AgentExpired, AT_WORK_STATUSES, _S.EXPIRED),
        step(AgentApproved, _REVIEWABLE, _S.APPROVED),  # a reviewer may correct
        step(AgentSoftRejected, _S.COMPLETED, _S.SOFT_REJECTED),
        step(AgentRejected, _S.COMPLETED, _S.REJECTED),
        *stays(AgentOpinionGiven, _S.COMPLETED),
        step(AgentVerdictWithdrawn, (_S.APPROVED, _S.SOFT_REJECTED, _S.REJECTED), _S.COMPLETED),
        *stays(AgentVerdictWithdrawn, _S.COMPLETED),  # takes back opinions
        step(AgentLateAccepted, LATE_STATUSES, _S.APPROVED),
        # Facts that change no status. A page may still talk after the end; nothing it says is lost.
        *stays(AgentUpdateReceived, *_S),
        *stays(AgentObserved, *_S),
        *stays(AgentModelAsked, *_S),
        *stays(AgentModelReplied, *_S),
        *stays(AgentMetadataReceived, *_S),
        *stays(AgentFileStored, *_S),  # metadata may come with files at any time
        *stays(AgentFileLost, *_S),
        *stays(AgentBonusGranted, *_S),  # also for work that was lost
        *stays(AgentAppealed, _S.REJECTED),
        *stays(AgentAppealDismissed, _S.REJECTED),
        *stays(AgentSubmittedAgain, *SUBMITTED_STATUSES),
        *stays(AgentSubmittedLate, *LATE_STATUSES),
    ),
)


class GivenOpinion(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A reviewer's opinion on work without a verdict."""

    reviewer: str
    opinion: Opinion


class AgentRecord(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """State of an agent. (`AgentState` is what task code reads.)"""

    status: AgentStatus
    agent: AgentId
    unit: UnitId
    assignment: AssignmentId
    worker: WorkerId
    token: str
    registration: str
    #: Numbers of live updates from the page and to it.
    received: int = 0
    observed: int = 0
    #: Number of questions to language models.
    model_questions: int = 0
    #: Size of the updates from the page.
    received_bytes: int = 0
    #: The first submission, which counts; a late one counts once it is accepted. None if there is none: also for an
    #: agent that completed alone.
    submission: PayloadRef | None = None
    #: True if a partner left after both had started.
    was_left: bool = False
    #: The author of the rejection; None if the work is not rejected, or nobody knows.
    rejected_by: str | None = None
    #: The worker's objection to the rejection; None: there was none.
    appeal: AppealStatus | None = None
    #: What the present verdict made payable.
    verdict_payments: tuple[PaymentId, ...] = ()
    #: Opinions on which there was no verdict yet; two or more differ.
    opinions: tuple[GivenOpinion, ...] = ()
    #: Number of verdicts that were taken back.
    withdrawn_verdicts: int = 0
    #: Uploaded files that only the server has so far.
    awaited_files: tuple[FileRef, ...] = ()
    #: True if its submission was taken in from the provider's site: the task's code is not asked about it.
    is_taken_in: bool = False


def is_late(agent: AgentRecord) -> bool:
    """Return whether an agent's work was submitted after it had ended, and is not accepted."""
    return agent.status in LATE_STATUSES and agent.submission is not None


def evolve(agent: AgentRecord | None, event: AgentEvent) -> AgentRecord:
    """Return the agent after an event.

    Raises:
        IllegalStepError: the lifecycle has no such step.
    """
    status = AGENT.after(agent.status if agent else None, event)
    if isinstance(event, AgentAccepted):
        return AgentRecord(
            status, event.agent, event.unit, event.assignment, event.worker, event.token, event.registration
        )
    agent = existing(agent)
    match event:
        case AgentSubmitted():
            return _submitted(agent, event, status)
        case AgentSubmittedLate() | AgentSubmittedAgain():
            awaited = agent.awaited_files + event.files
            return replace(agent, submission=agent.submission or event.submission, awaited_files=awaited)
        case AgentMetadataReceived():
            return replace(agent, awaited_files=agent.awaited_files + event.files) if event.files else agent
        case AgentFileStored() | AgentFileLost():
            awaited = tuple(file for file in agent.awaited_files if file.filename != event.filename)
            return replace(agent, awaited_files=awaited)
        case AgentPartnerLeft():
            return replace(agent, status=status, was_left=True)
        case AgentUpdateReceived():
            size = agent.received_bytes + event.update.size
            return replace(agent, received=event.number, received_bytes=size)
        case AgentObserved():
            return replace(agent, observed=event.number)
        case AgentModelAsked():
            return replace(agent, model_questions=event.number)
        case (
            AgentOpinionGiven()
            | AgentRejected()
            | AgentAppealed()
            | AgentAppealDismissed()
            | AgentApproved()
            | AgentSoftRejected()
            | AgentVerdictWithdrawn()
        ):
            return _reviewed(agent, status, event)
        case AgentBonusGranted() | AgentModelReplied():
            return agent
        case (
            AgentWaiting()
            | AgentStarted()
            | AgentCompletedAlone()
            | AgentDisconnected()
            | AgentTimedOut()
            | AgentReturned()
            | AgentExpired()
            | AgentLateAccepted()
        ):
            return replace(agent, status=status)
        case _:
            assert_never(event)


def _submitted(agent: AgentRecord, event: AgentSubmitted, status: AgentStatus) -> AgentRecord:
    awaited, is_taken_in = agent.awaited_files + event.files, event.from_site
    return replace(agent, status=status, submission=event.submission, awaited_files=awaited, is_taken_in=is_taken_in)


def _reviewed(agent: AgentRecord, status: AgentStatus, event: _ReviewEvent) -> AgentRecord:
    """Return the agent after an event of a review."""
    match event:
        case AgentOpinionGiven():
            return replace(agent, opinions=(*agent.opinions, GivenOpinion(event.reviewer, event.opinion)))
        case AgentRejected():
            return replace(agent, status=status, rejected_by=event.reviewer)
        case AgentAppealed():
            return replace(agent, appeal=AppealStatus.OPEN)
        case AgentAppealDismissed():
            return replace(agent, appeal=AppealStatus.DISMISSED)
        case AgentApproved():
            is_accepted = agent.appeal is AppealStatus.OPEN
            appeal = AppealStatus.ACCEPTED if is_accepted else agent.appeal
            payments = agent.verdict_payments + event.payments
            return replace(agent, status=status, rejected_by=None, appeal=appeal, verdict_payments=payments)
        case AgentSoftRejected():
            return replace(agent, status=status, verdict_payments=event.payments)
        case AgentVerdictWithdrawn():
            # Another rejection would be another one to object to.
            return replace(
                agent,
                status=status,
                rejected_by=None,
                appeal=None,
                verdict_payments=(),
                opinions=(),
                withdrawn_verdicts=agent.withdrawn_verdicts + 1,
            )
        case _:
            assert_never(event)
