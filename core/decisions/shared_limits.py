"""Names the partitions that a command needs for itself, because a limit counts what other runs do, too."""

from __future__ import annotations

from ...events import streams
from ..commands.admission import AssignUnit
from ..commands.base import Command
from ..state.decision_state import DecisionState


def partitions_to_lock(state: DecisionState, command: Command) -> tuple[str, ...]:
    """Return the partitions that no other writer may write to while a command is decided.

    In a task whose workers have a maximum over all of its runs, work is given out in one run at a time: operators of
    two runs would otherwise both give a worker the last unit. They meet at the directory, which belongs to no run.

    Args:
        state: the state as of the last turn; a maximum is never changed.
        command: the command.
    """
    partitions = command.partitions
    if type(command) is AssignUnit:
        run = state.task_runs.get(streams.task_run(command.task_run))
        if run is not None and run.maximum_is_per_task:
            return (streams.DIRECTORY, *partitions)
    return partitions
