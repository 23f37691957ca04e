"""Mephisto's data model over the view: from one row to what belongs to it."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.abstractions.qualifications import (
    QUAL_GREATER,
    make_qualification_dict,
    qualification_rule,
    worker_is_qualified,
)
from mephisto_es.core.errors import UnknownEntityError
from mephisto_es.core.ports import AppendRequest, NewEvent
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events import streams
from mephisto_es.events.unit import UnitExpired
from mephisto_es.events.worker import QualificationChanged, WorkerBlocked, WorkerUnblocked
from mephisto_es.projections.mephisto_db import MephistoDB
from mephisto_es.projections.mephisto_db.data_model import (
    ASSIGNMENT_STATUSES,
    AgentView,
    AssignmentView,
    RequesterView,
    TaskRunView,
    TaskView,
    UnitView,
    WorkerView,
    assignment_status,
)
from mephisto_es.projections.queries.data_browser import DataBrowser

from ..history_search import find_history, has_work_of_every_kind
from .views import PROJECTION

#: After all that is in any history.
LATER = 2_000_000_000_000_000


def _has_what_is_read(state: DecisionState) -> bool:
    submitted = any(onboarding.submission is not None for onboarding in state.onboardings.values())
    qualified = any(worker.qualifications for worker in state.workers.values())
    return submitted and qualified and has_work_of_every_kind(state)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log on disk with a long history in it."""
    path = tmp_path_factory.mktemp("log") / "mephisto.db"
    with SqliteLog.create_or_open(path, [PROJECTION]) as log:
        log.commit(find_history(600, _has_what_is_read))
    return path


@pytest.fixture
def path(written: Path, tmp_path: Path) -> Path:
    """The log, for one test to write to."""
    return Path(shutil.copytree(written.parent, tmp_path / "log")) / written.name


@pytest.fixture
def db(path: Path) -> Iterator[MephistoDB]:
    with MephistoDB(path) as db:
        yield db


def append(path: Path, event: NewEvent, command: str = "later") -> None:
    with SqliteLog.create_or_open(path, [PROJECTION]) as log:
        (outcome,) = log.commit([AppendRequest(command=command, actor="tester", at=LATER, events=(event,))])
        assert not isinstance(outcome, Exception)


def test_from_a_unit_one_gets_everywhere_and_back(db: MephistoDB) -> None:
    unit = db.find_units(status="accepted")[0]
    agent = unit.get_assigned_agent()
    assert agent is not None
    assert agent.get_unit() == unit
    assert (agent.get_status(), unit.get_status()) == ("approved", "accepted")
    assert agent.get_worker() in unit.get_assignment().get_workers()
    assert agent in agent.get_worker().get_agents(status="approved")
    assert agent.get_assignment() == unit.get_assignment()
    assert unit in unit.get_assignment().get_units("accepted")
    run = unit.get_task_run()
    assert unit in run.get_units()
    assert unit.get_assignment() in run.get_assignments()
    assert run in unit.get_task().get_runs()
    assert run in unit.get_requester().get_task_runs()
    assert unit.get_pay_amount() == unit.pay_cents / 100
    assert unit.get_assignment_data() == unit.get_assignment().get_assignment_data()


def test_by_its_id_each_kind_is_got_from_its_class(db: MephistoDB) -> None:
    unit = db.find_units(status="accepted")[0]
    assert UnitView.get(db, str(unit.unit_id)) == unit
    assert AssignmentView.get(db, unit.assignment_id) == unit.get_assignment()
    assert TaskRunView.get(db, unit.task_run_id) == unit.get_task_run()
    assert TaskView.get(db, unit.task_id) == unit.get_task()
    assert RequesterView.get(db, unit.requester_id) == unit.get_requester()
    assert unit.agent_id is not None
    agent = AgentView.get(db, unit.agent_id)
    assert WorkerView.get(db, agent.worker_id) == agent.get_worker()
    with pytest.raises(UnknownEntityError, match=r"there is no worker-9999; the nearest is worker-\d+"):
        WorkerView.get(db, 9999)


def test_an_agents_state_is_what_the_browser_shows(db: MephistoDB) -> None:
    unit = db.find_units(status="accepted")[0]
    agent = unit.get_assigned_agent()
    assert agent is not None
    assert agent.state.get_data() == DataBrowser(db).get_data_from_unit(unit)["data"]
    assert agent.state.get_init_state() == {"text": "All happy families"}
    idle = next(one for one in db.find_units(status="launched"))
    assert idle.get_assigned_agent() is None
    assert None in idle.get_assignment().get_agents()
    onboarded = next(one for one in db.find_onboarding_agents() if one.submission is not None)
    assert isinstance(onboarded.get_outputs(), dict)
    assert onboarded.get_worker().worker_id == onboarded.worker_id
    assert onboarded.get_task_run().get_task() == onboarded.get_task()


def test_a_status_is_looked_up_when_it_is_asked_for(path: Path, db: MephistoDB) -> None:
    unit = db.find_units(status="launched")[0]
    stream = streams.unit(unit.task_run_id, unit.unit_id)
    append(path, NewEvent(stream, UnitExpired(reason="the run is over")))
    assert (unit.get_status(), unit.db_status, unit.status) == ("expired", "launched", "launched")


def test_a_run_counts_its_assignments_and_its_costs(db: MephistoDB) -> None:
    for run in db.find_task_runs():
        statuses = run.get_assignment_statuses()
        assert set(statuses) == set(ASSIGNMENT_STATUSES)
        assert {k: v for k, v in statuses.items() if v} == Counter(one.get_status() for one in run.get_assignments())
        for status, count in statuses.items():
            assert len(run.get_assignments(status)) == count
        unpaid = {"created", "expired", "rejected"}
        assert run.get_total_spend() * 100 == pytest.approx(
            sum(unit.pay_cents for unit in run.get_units() if unit.status not in unpaid)
        )
        assert run.get_is_completed() == (run.status == "completed")
    runs = db.find_task_runs()
    assert sum(task.get_total_spend() for task in db.find_tasks()) == pytest.approx(
        sum(run.get_total_spend() for run in runs)
    )
    assert sum(one.get_total_spend() for one in db.find_requesters()) == pytest.approx(
        sum(run.get_total_spend() for run in runs)
    )


@pytest.mark.parametrize(
    ("units", "whole"),
    [
        (["completed"], "completed"),
        (["expired", "expired"], "expired"),
        (["created", "completed"], "created"),
        (["launched", "assigned"], "launched"),
        (["assigned", "completed"], "assigned"),
        (["completed", "accepted"], "completed"),
        (["accepted", "rejected"], "mixed"),
        (["accepted", "expired"], "mixed"),
    ],
)
def test_an_assignment_stands_where_most_is_left_to_do(units: list[str], whole: str) -> None:
    assert assignment_status(units) == whole


def test_an_assignment_costs_what_its_units_of_some_statuses_cost(db: MephistoDB) -> None:
    assignment = db.find_units(status="accepted")[0].get_assignment()
    accepted = assignment.get_units("accepted")
    assert assignment.get_cost_of_statuses(["accepted"]) == sum(unit.pay_cents for unit in accepted) / 100
    assert assignment.get_cost_of_statuses([]) == 0


def test_what_a_worker_may_do(path: Path, db: MephistoDB) -> None:
    held = db.find_granted_qualifications()[0]
    worker, name = db.get_worker(held.worker_id), db.get_qualification(held.qualification_id).qualification_name
    assert worker.get_qualifications()[name] == held.value
    assert worker.get_granted_qualification("unheard of") is None
    assert not worker.is_qualified("unheard of")
    assert not worker.is_disqualified("unheard of")
    stream = streams.worker(held.worker_id)
    for value in (0, 3):
        changed = QualificationChanged(qualification=held.qualification_id, value=value)
        append(path, NewEvent(stream, changed), str(value))
        assert worker.is_qualified(name) == (value != 0)
        assert worker.is_disqualified(name) == (value == 0)
        assert worker.get_qualifications()[name] == value
        wanted = [make_qualification_dict(name, QUAL_GREATER, 0)]
        assert worker_is_qualified(worker.get_qualifications(), map(qualification_rule, wanted)) == (value > 0)


def test_whether_a_worker_is_blocked(path: Path, db: MephistoDB) -> None:
    worker = db.find_workers()[0]
    was = worker.is_blocked()
    turned = WorkerUnblocked(reason="it was somebody else") if was else WorkerBlocked(reason="answers at random")
    append(path, NewEvent(streams.worker(worker.worker_id), turned))
    assert worker.is_blocked() != was
