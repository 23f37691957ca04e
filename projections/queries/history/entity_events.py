"""Finds the events that may concern one entity by index, without reading the whole log."""

from __future__ import annotations

from ....core.entity_ref import RECORD_KINDS, EntityRef
from ....core.errors import UnknownEntityError
from ....events import streams
from ....events.envelope import RecordedEvent
from ....events.ids import AgentId, OnboardingAgentId, TaskRunId, UnitId, WorkerId
from ....events.task_run import CallbackFailed, SiteListAnswered, SiteListIntended, SiteListObserved
from ..as_of import AsOf
from ..entity_ref import stream_of

#: Events of a run that are about others too.
_ABOUT_OTHERS = (CallbackFailed, SiteListIntended, SiteListAnswered, SiteListObserved)
_AGENTS = "SELECT task_run_id, agent_id FROM agents WHERE"
_ONBOARDINGS = "SELECT task_run_id, onboarding_agent_id FROM onboarding_agents WHERE"


def events_about(as_of: AsOf, entity: EntityRef) -> list[RecordedEvent]:
    """Return the events of an entity's stream and of the streams of what belongs to it, in log order.

    Raises:
        UnknownEntityError: there is no such entity; the message names the nearest one.
    """
    if entity.kind in RECORD_KINDS:
        return _events_of_record(as_of, entity)
    names = dict.fromkeys([stream_of(as_of.db, entity), *_related(as_of, entity)])
    events = [recorded for name in names for recorded in as_of.stream(name)]
    if entity.kind != "run":
        # Some events of a run are about others; `timeline` chooses among them.
        runs = map(streams.task_run, _runs_of(as_of, entity))
        events += [one for run in runs for one in as_of.stream(run) if isinstance(one.envelope.event, _ABOUT_OTHERS)]
    else:
        events += as_of.under(f"resource/{entity.number}/")
    events += [recorded for run in _paying_runs(as_of, entity) for recorded in as_of.under(f"payment/{run}/")]
    return sorted(events, key=lambda recorded: recorded.seq)


def _events_of_record(as_of: AsOf, entity: EntityRef) -> list[RecordedEvent]:
    """Return the events of a payment or resource.

    Raises:
        UnknownEntityError: there is no such one.
    """
    runs = [run for (run,) in as_of.db.execute("SELECT task_run_id FROM task_runs").fetchall()]
    events = [one for run in runs for one in as_of.stream(f"{entity.kind}/{run}/{entity.number}")]
    if not events:
        raise UnknownEntityError(str(entity))
    return events


def _runs_of(as_of: AsOf, entity: EntityRef) -> list[TaskRunId]:
    """Return the run that an entity belongs to; for a worker, all of them."""
    if entity.kind == "worker":
        return [run for (run,) in as_of.db.execute("SELECT task_run_id FROM task_runs")]
    return [streams.run_of(stream_of(as_of.db, entity))]


def _paying_runs(as_of: AsOf, entity: EntityRef) -> list[int]:
    """Return the runs whose payments may concern an entity; `timeline` chooses among the payments."""
    match entity.kind:
        case "run":
            return [entity.number]
        case "unit" | "agent":
            query = f"SELECT DISTINCT task_run_id FROM agents WHERE {entity.kind}_id = ?"
        case "worker":
            query = "SELECT DISTINCT task_run_id FROM agents WHERE worker_id = ?"
        case _:
            return []
    return [run for (run,) in as_of.db.execute(query, (entity.number,))]


def _related(as_of: AsOf, entity: EntityRef) -> list[str]:
    db, number = as_of.db, entity.number
    match entity.kind:
        case "assignment":
            units = db.execute("SELECT task_run_id, unit_id FROM units WHERE assignment_id = ?", (number,)).fetchall()
            of_units = [streams.unit(TaskRunId(run), UnitId(unit)) for run, unit in units]
            return [*of_units, *(stream for _, unit in units for stream in _agents(as_of, "unit_id", unit))]
        case "unit":
            return _agents(as_of, "unit_id", number)
        case "agent":
            run, unit = db.execute("SELECT task_run_id, unit_id FROM agents WHERE agent_id = ?", (number,)).fetchone()
            return [streams.unit(run, unit)]
        case "worker":
            onboardings = db.execute(f"{_ONBOARDINGS} worker_id = ?", (number,))
            return [
                *(streams.engagement(run, WorkerId(number)) for run in _runs_of(as_of, entity)),
                *(streams.onboarding_agent(TaskRunId(run), OnboardingAgentId(one)) for run, one in onboardings),
                *_agents(as_of, "worker_id", number),
            ]
        case _:
            return []


def _agents(as_of: AsOf, column: str, number: int) -> list[str]:
    rows = as_of.db.execute(f"{_AGENTS} {column} = ?", (number,))
    return [streams.agent(TaskRunId(run), AgentId(agent)) for run, agent in rows]
