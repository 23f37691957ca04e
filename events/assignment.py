"""Events of an assignment: a piece of input data, how many answers it gets, and what a reviewer makes of them."""

from __future__ import annotations

from enum import Enum

import msgspec

from .base import Event, PayloadRef
from .ids import AgentId, AssignmentId, UnitId, WorkerId


class AssignmentCreated(Event, frozen=True, kw_only=True, tag="assignment_created"):
    """A piece of input data was taken from the run's source."""

    assignment: AssignmentId
    #: Place in the run's data: 0, 1, 2 ...
    number: int
    data: PayloadRef


class AnswerModel(Enum):
    """A model of how workers answer."""

    #: Every answer is right with the same probability, wrong in all ways with the same, and independent of the others.
    EQUAL_WORKERS = "equal_workers"


class LabelEvidence(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False
):
    """The numbers from which it was decided whether an assignment gets more answers."""

    #: The agents whose work counts, in the order of their units.
    agents: tuple[AgentId, ...]
    #: Number of answers by class, in the order of the setting `classes`; an answer that is none of them is left out.
    counts: tuple[int, ...]
    #: The most probable class.
    label: str
    #: Its probability.
    posterior: float
    #: The probability from which on there are no more answers.
    confidence: float
    #: Answers at least and at most.
    least: int
    most: int
    model: AnswerModel
    #: Assumed probability that an answer is right.
    accuracy: float
    #: Number of answers that the accuracy was estimated from; None if the configuration gives it.
    estimated_from: int | None = None


class StopReason(Enum):
    """The rule by which an assignment gets no more answers."""

    #: The label is probable enough.
    CONFIDENCE = "confidence"
    #: There are as many answers as allowed.
    MAXIMUM = "maximum"
    #: A reviewer has decided what the label is.
    DECIDED = "decided"


class AssignmentExtended(Event, frozen=True, kw_only=True, tag="assignment_extended"):
    """The label is not sure enough: the assignment gets further units."""

    evidence: LabelEvidence
    #: The further units.
    units: tuple[UnitId, ...]
    #: Number of units that were still open.
    open_units: int = 0


class AssignmentSettled(Event, frozen=True, kw_only=True, tag="assignment_settled"):
    """The assignment gets no more answers."""

    evidence: LabelEvidence
    by: StopReason
    #: Further units that are withdrawn, because nobody has started them.
    withdrawn: tuple[UnitId, ...] = ()


class LabelSource(Enum):
    """The origin of a label that was decided."""

    #: A reviewer looked at the answers.
    ADJUDICATION = "adjudication"


class AssignmentLabelled(Event, frozen=True, kw_only=True, tag="assignment_labelled"):
    """A reviewer decided the answer to one question about the data; the latest decision holds."""

    #: The value in the outputs, with dots between the keys of nested objects.
    question: str
    #: The answer, as JSON; None if the decision so far was taken back.
    label: PayloadRef | None
    source: LabelSource
    #: The units whose work was looked at.
    units: tuple[UnitId, ...]
    reviewer: str
    #: Why.
    note: PayloadRef | None = None
    #: The worker whose words the answer is; they are erased with the worker.
    worker: WorkerId | None = None


AssignmentEvent = AssignmentCreated | AssignmentExtended | AssignmentSettled | AssignmentLabelled
