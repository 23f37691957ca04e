"""References to entities as people write them: `unit-12`, `agent-7`, `worker-3`, `run-1`."""

from __future__ import annotations

import re
from typing import NamedTuple

from ...core.errors import UnknownEntityError
from ...events import streams
from ..mephisto_db.reader import MephistoDB

KINDS = ("run", "assignment", "unit", "agent", "onboarding", "worker")
_REF = re.compile(rf"({'|'.join(KINDS)})-(\d{{1,18}})")


class EntityRef(NamedTuple):
    """A reference to one entity, by kind and id."""

    #: One of `KINDS`.
    kind: str
    number: int

    def __str__(self) -> str:
        return f"{self.kind}-{self.number}"


def parse_entity_ref(text: str) -> EntityRef | None:
    """Parse a reference, or return None if the text is not one."""
    found = _REF.fullmatch(text)
    return EntityRef(found[1], int(found[2])) if found else None


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
