"""Integer ids, each its own type. The `Ids` port gives them out; there may be gaps."""

from typing import NewType

#: A group of tasks.
ProjectId = NewType("ProjectId", int)
#: A kind of work by name, for instance "sentence rating".
TaskId = NewType("TaskId", int)
#: An account at a crowd provider that offers work and pays.
RequesterId = NewType("RequesterId", int)
#: A named value that workers have, for instance "passed the screening".
QualificationId = NewType("QualificationId", int)
#: One launch of a task with one configuration.
TaskRunId = NewType("TaskRunId", int)
#: One piece of input data, with a unit for each worker it needs.
AssignmentId = NewType("AssignmentId", int)
#: The smallest piece of work, done by one worker.
UnitId = NewType("UnitId", int)
#: A person at a crowd provider.
WorkerId = NewType("WorkerId", int)
#: A worker at work on one unit.
AgentId = NewType("AgentId", int)
#: A worker in the onboarding step of a run.
OnboardingAgentId = NewType("OnboardingAgentId", int)
#: One amount that one worker is owed for one piece of work.
PaymentId = NewType("PaymentId", int)

# Unit indexes of units that are created for one worker, and never offered to others; all others are places in an
# assignment.

#: A unit that shows whether a worker can do the task.
SCREENING_UNIT_INDEX = -1
#: A unit with a known answer.
GOLD_UNIT_INDEX = -2
#: A unit that pays for work that came to nothing.
COMPENSATION_UNIT_INDEX = -3
