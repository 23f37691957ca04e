"""The integer ids of the MephistoDB view, each its own type. They are given out by the `Ids` port; gaps are fine."""

from typing import NewType

TaskId = NewType("TaskId", int)
RequesterId = NewType("RequesterId", int)
QualificationId = NewType("QualificationId", int)
TaskRunId = NewType("TaskRunId", int)
AssignmentId = NewType("AssignmentId", int)
UnitId = NewType("UnitId", int)
WorkerId = NewType("WorkerId", int)
AgentId = NewType("AgentId", int)
OnboardingAgentId = NewType("OnboardingAgentId", int)
PaymentId = NewType("PaymentId", int)

#: Unit indexes that stand for something else than a place in the assignment.
SCREENING_UNIT_INDEX = -1
GOLD_UNIT_INDEX = -2
COMPENSATION_UNIT_INDEX = -3
