"""The invariants of the script's answers about submissions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from mephisto_es.core.lifecycles.engagement import ON_SUBMITTED
from mephisto_es.core.lifecycles.task_run import ENDED_RUN_STATUSES, TaskRunStatus
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events import streams
from mephisto_es.events.engagement import VerdictsRevoked
from mephisto_es.events.envelope import Envelope
from mephisto_es.events.ids import TaskRunId, UnitId
from mephisto_es.events.task_run import CallbackFailed, TaskRunRecovering, TaskRunReopened
from mephisto_es.events.unit import UnitCompleted

from .job import Environment
from .office import Requests


class ScriptAnswers:
    """The submissions that the script should be asked about, and those about which it need not answer."""

    def __init__(self) -> None:
        self._completed: list[UnitId] = []
        #: Work that evaluated its worker when its verdict was revoked, and that had been reviewed: it is not judged
        #: again.
        self._unjudged: set[UnitId] = set()
        #: Work about which the answer was revoked while its run ended, or later: it is asked for if the run is resumed.
        self._revoked: dict[TaskRunId, set[UnitId]] = {}
        #: Work on which the script failed, or which an operator left that died, or about which the answer was revoked:
        #: it is asked about when somebody wants that, when the run is resumed, or when its work is done, and so never
        #: if a person ends the run before.
        self._failed: set[UnitId] = set()

    def enter(self, state: DecisionState, envelope: Envelope) -> None:
        """Note an event; the state has it."""
        event, stream = envelope.event, envelope.stream
        if isinstance(event, UnitCompleted):
            self._completed.append(state.units[stream].unit)
        elif isinstance(event, CallbackFailed) and event.function == ON_SUBMITTED and event.unit is not None:
            self._failed.add(event.unit)
        elif isinstance(event, VerdictsRevoked) and event.callback == ON_SUBMITTED:
            run = streams.run_of(stream)
            self._unjudged.update(state.agents[streams.agent(run, agent)].unit for agent in event.agents)
            if state.task_runs[streams.task_run(run)].status in (TaskRunStatus.STOPPING, *ENDED_RUN_STATUSES):
                self._revoked.setdefault(run, set()).update(event.units)
            else:
                self._failed.update(event.units)
        elif isinstance(event, TaskRunRecovering | TaskRunReopened):
            run = streams.run_of(stream)
            self._revoked.pop(run, None)
            self._failed.update(unit for units in state.runs[run].units_of.values() for unit in units)

    def check(self, state: DecisionState, environment: Environment, told: Requests) -> None:
        """Check that the script was told of each submission, and that its answer is recorded once."""
        recorded = Counter(
            unit
            for engagement in state.engagements.values()
            for (callback, unit) in engagement.answers
            if callback == ON_SUBMITTED
        )
        # A worker whose partner had left may have left too, so that there was nothing to tell.
        left = {agent.unit for agent in state.agents.values() if agent.was_left}
        # Nobody waits for long for code in a run that a person ends, and not at all for code that failed or was wrong.
        ended, unscripted = _units_of(state, told.ended), _units_of(state, told.unscripted)
        unheard = ended if environment.is_slow else ended & self._failed
        unheard |= self._unjudged.union(unscripted, *self._revoked.values())
        for stream, engagement in state.engagements.items():
            run = streams.run_of(stream)
            undecided = None if run in told.ended else engagement.undecided()
            is_late = undecided in self._revoked.get(run, ())
            assert undecided is None or is_late, f"{stream} waited for the judgement of unit {undecided} to the end"
        for unit in set(self._completed) - left:
            assert environment.told.get(unit, 0) >= 1 or unit in unheard, f"the script was never told of unit {unit}"
            expected = {0, 1} if unit in unheard else {1}
            found = recorded[unit]
            assert found in expected, f"that the script was told of unit {unit} is recorded {found} times"


def _units_of(state: DecisionState, runs: Collection[TaskRunId]) -> set[UnitId]:
    return {unit for run in runs for units in state.runs[run].units_of.values() for unit in units}
