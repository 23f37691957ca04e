"""Work that only the provider's site has gets a unit, once."""

from __future__ import annotations

import pytest

from mephisto_es.core.commands.admission import Applicant, TakeInWork
from mephisto_es.core.commands.agent import EndAgent
from mephisto_es.core.decisions.worker_rights.take_in_work import WITHOUT_ANSWERS
from mephisto_es.core.errors import CommandRefusedError
from mephisto_es.core.lifecycles.agent import AgentStatus
from mephisto_es.core.lifecycles.unit import UnitStatus
from mephisto_es.events import ids, streams
from mephisto_es.events.agent import (
    AgentAccepted,
    AgentDisconnected,
    AgentStarted,
    AgentSubmitted,
    AgentSubmittedLate,
)
from mephisto_es.events.base import Event, PayloadRef
from mephisto_es.events.engagement import (
    AllWorkEnded,
    ConsentWithdrawn,
    PlaceTaken,
    WorkEnded,
    WorkerArrived,
    WorkStarted,
)
from mephisto_es.events.unit import UnitAssigned, UnitCompleted

from .conftest import DATA, RUN, SmallRun, only

STUDY = PayloadRef("1" * 64, 3)
TAKEN = AgentSubmitted(submission=DATA, problems=(WITHOUT_ANSWERS,), from_site=True)


def take_in(
    run: SmallRun, worker: int, agent: int, registration: str | None = None, *, place: bool = True
) -> list[Event]:
    applicant = Applicant(ids.WorkerId(worker), f"token {agent}", registration or f"registration {agent}")
    return run.execute(
        TakeInWork(
            task_run=RUN,
            applicant=applicant,
            agent=ids.AgentId(agent),
            handle=DATA if place else None,
            study=STUDY if place else None,
            submission=DATA,
        )
    )


def test_a_stranger_gets_a_unit_that_is_complete(run: SmallRun) -> None:
    run.offer(1)
    events = take_in(run, 1, agent=1)
    kinds = [WorkerArrived, PlaceTaken, UnitAssigned, AgentAccepted, WorkStarted, AgentStarted, AgentSubmitted]
    assert [type(event) for event in events] == [*kinds, UnitCompleted, AllWorkEnded]
    assert only(events, AgentSubmitted) == TAKEN
    assert only(events, PlaceTaken) == PlaceTaken(registration="registration 1", handle=DATA, study=STUDY)
    agent = run.state.agents[streams.agent(RUN, ids.AgentId(1))]
    assert (agent.status, agent.is_taken_in) == (AgentStatus.COMPLETED, True)
    assert run.state.units[streams.unit(RUN, ids.UnitId(10))].status is UnitStatus.COMPLETED
    assert take_in(run, 1, agent=2, registration="registration 1") == []


def test_a_worker_at_work_on_another_unit_goes_on(run: SmallRun) -> None:
    run.offer(1)
    run.offer(2)
    run.assign(1, agent=1)
    assert only(take_in(run, 1, agent=2, place=False), WorkEnded).agent == 2
    assert run.state.engagements[streams.engagement(RUN, ids.WorkerId(1))].live == {1}


def test_work_of_an_agent_completes_its_unit_or_is_late(run: SmallRun) -> None:
    run.offer(1)
    run.offer(2)
    run.assign(1, agent=1)
    run.assign(2, agent=2)
    gone = AgentDisconnected(reason="gone")
    run.execute(EndAgent(task_run=RUN, agent=ids.AgentId(2), departure=gone, concurrent=False))
    assert take_in(run, 1, agent=3, registration="registration 1", place=False)[0] == TAKEN
    (late,) = take_in(run, 2, agent=3, registration="registration 2", place=False)
    assert late == AgentSubmittedLate(submission=DATA, problems=(WITHOUT_ANSWERS,), from_site=True)
    assert take_in(run, 2, agent=3, registration="registration 2", place=False) == []


def test_nobody_is_taken_in_without_a_unit_an_onboarding_or_a_consent(run: SmallRun) -> None:
    with pytest.raises(CommandRefusedError, match="no unit is on offer for worker-1: `mephisto-es extend 1` adds some"):
        take_in(run, 1, agent=1)
    run.offer(1)
    run.start_onboarding(2, agent=1)
    with pytest.raises(CommandRefusedError, match="worker-2 has not passed the onboarding"):
        take_in(run, 2, agent=1, registration="onboarding registration 1")
    engagement = streams.engagement(RUN, ids.WorkerId(3))
    for event in (WorkerArrived(worker=ids.WorkerId(3)), ConsentWithdrawn(reason="asked")):
        run.state.evolve(engagement, event)
    with pytest.raises(CommandRefusedError, match="worker-3 has withdrawn the consent"):
        take_in(run, 3, agent=1)
