"""Finds entities of a log by reference: the stream of one, and which ones there are."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.entity_ref import EntityRef
from ...core.errors import UnknownEntityError
from ...events import streams
from ...events.ids import WorkerId
from ..mephisto_db.reader import MephistoDB

_WORKERS_NAMED = "SELECT worker_id FROM workers WHERE worker_name = ? ORDER BY worker_id"


class ViewLookup:
    """Knowledge of the entities in a view; see `EntityLookup`."""

    def __init__(self, db: MephistoDB) -> None:
        self._db = db

    def has(self, entity: EntityRef) -> bool:
        """Return whether there is such an entity."""
        try:
            stream_of(self._db, entity)
        except UnknownEntityError:
            return False
        return True

    def workers_named(self, name: str) -> Sequence[WorkerId]:
        """Return the workers with a name at their provider."""
        return [WorkerId(worker) for (worker,) in self._db.execute(_WORKERS_NAMED, (name,))]


def stream_of(db: MephistoDB, entity: EntityRef) -> str:
    """Return the name of an entity's stream.

    Raises:
        UnknownEntityError: there is no such entity; the message names the nearest one of its kind.
    """
    number = entity.number
    match entity.kind:
        case "run":
            return streams.task_run(db.get_task_run(number).task_run_id)
        case "assignment":
            assignment = db.get_assignment(number)
            return streams.assignment(assignment.task_run_id, assignment.assignment_id)
        case "unit":
            unit = db.get_unit(number)
            return streams.unit(unit.task_run_id, unit.unit_id)
        case "agent":
            agent = db.get_agent(number)
            return streams.agent(agent.task_run_id, agent.agent_id)
        case "onboarding":
            onboarding = db.get_onboarding_agent(number)
            return streams.onboarding_agent(onboarding.task_run_id, onboarding.onboarding_agent_id)
        case "worker":
            return streams.worker(db.get_worker(number).worker_id)
        case kind:
            raise UnknownEntityError(kind)
