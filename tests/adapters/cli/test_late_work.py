"""`review --late` and `review --accept-late`, on a log."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.sqlite.as_of import open_as_of
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.lifecycles.agent import LATE_STATUSES
from mephisto_es.core.lifecycles.unit import UNIT
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events.ids import TaskRunId
from mephisto_es.events.streams import run_of
from mephisto_es.events.unit import UnitLateAccepted
from mephisto_es.projections.queries.money.pay_ledger import find_untraced, pay_ledger
from mephisto_es.projections.queries.unit_records import unit_records
from mephisto_es.projections.registry import PROJECTIONS

from ...history_search import find_history


def late_agents(state: DecisionState, *, free: bool) -> list[tuple[int, int]]:
    """Return run and agent of late work whose unit nobody else has, or that somebody else has."""
    found = []
    for stream, agent in state.agents.items():
        unit = state.units[f"unit/{run_of(stream)}/{agent.unit}"]
        if agent.status in LATE_STATUSES and agent.submission and unit.pay_cents:
            is_free = UNIT.allows(unit.status, UnitLateAccepted)
            if is_free if free else not is_free and unit.worker != agent.worker:
                found.append((int(run_of(stream)), int(agent.agent)))
    return found


def folded(database: Path) -> DecisionState:
    state = DecisionState()
    with open_as_of(database) as moment:
        for recorded in moment.events():
            state.apply(recorded.envelope)
    return state


HISTORY = find_history(2500, lambda state: bool(late_agents(state, free=True) and late_agents(state, free=False)))


@pytest.fixture
def database(tmp_path: Path) -> Path:
    with SqliteLog.create_or_open(tmp_path / "mephisto.db", PROJECTIONS) as log:
        log.commit(HISTORY)
    return tmp_path / "mephisto.db"


def review(database: Path, *words: str | int) -> Result:
    return CliRunner().invoke(command.main, ["review", str(database), *map(str, words)])


def unit_of(database: Path, agent: int) -> tuple[object, ...]:
    query = "SELECT units.status, units.agent_id FROM units JOIN agents USING (unit_id) WHERE agents.agent_id = ?"
    with closing(sqlite3.connect(database)) as db:
        found: tuple[object, ...] = db.execute(query, (agent,)).fetchone()
    return found


def debts(database: Path, run: int, agent: int) -> list[int]:
    """Return the cents that are owed to an agent as pay."""
    with open_as_of(database) as moment:
        payments = pay_ledger(moment, TaskRunId(run)).payments
    return [one.amount_cents for one in payments if (one.agent, one.purpose) == (agent, "pay")]


def listed_agents(database: Path, run: int) -> set[int]:
    return {one["agent_id"] for one in json.loads(review(database, run, "--late", "--json").stdout)["late"]}


def check_money(database: Path, run: int) -> None:
    with open_as_of(database) as moment:
        assert find_untraced(moment, TaskRunId(run)) == []
    assert replay(database, PROJECTIONS).legal


def test_late_work_is_listed_with_its_end_and_what_was_submitted(database: Path) -> None:
    state = folded(database)
    run, agent = late_agents(state, free=True)[0]
    listed = json.loads(review(database, run, "--late", "--json").stdout)
    of_run = [number for free in (True, False) for of, number in late_agents(state, free=free) if of == run]
    assert {one["agent_id"] for one in listed["late"]} >= set(of_run)
    [late] = [one for one in listed["late"] if one["agent_id"] == agent]
    assert late["ended_as"] in {status.value for status in LATE_STATUSES}
    assert late["reason"]
    assert late["ended_at"] <= late["submitted_at"]
    told = review(database, run, "--late").stdout
    assert f"agent-{agent}" in told
    assert f"{late['ended_as']}: {late['reason']}" in told
    assert "late" not in json.loads(review(database, run, "--json").stdout)


def test_accepted_late_work_counts_and_is_paid_once(database: Path) -> None:
    run, agent = late_agents(folded(database), free=True)[0]
    result = review(database, run, "--accept-late", f"agent-{agent}", "--note", "worth it")
    assert (result.exit_code, result.stdout) == (0, f"agent-{agent}: late work accepted\n")
    assert unit_of(database, agent) == ("accepted", agent)
    again = review(database, run, "--accept-late", f"agent-{agent}", "--note", "worth it")
    assert again.stdout == f"agent-{agent}: late work accepted  (recorded before)\n"
    with open_as_of(database) as moment:
        [unit] = [one for one in unit_records(moment, TaskRunId(run)) if one.agent_id == agent]
    assert debts(database, run, agent) == [unit.pay_cents]
    assert (unit.agent_status, unit.review_note) == ("approved", "worth it")
    assert unit.submitted_at is not None
    assert unit.reviewed_at is not None
    assert agent not in listed_agents(database, run)
    check_money(database, run)


def test_late_work_on_a_unit_of_somebody_else_is_only_paid(database: Path) -> None:
    run, agent = late_agents(folded(database), free=False)[0]
    before = unit_of(database, agent)
    result = review(database, run, "--accept-late", f"agent-{agent}")
    assert result.exit_code == 0, result.output
    assert unit_of(database, agent) == before
    assert before[1] != agent
    assert len(debts(database, run, agent)) == 1
    assert agent not in listed_agents(database, run)
    check_money(database, run)


def test_what_is_not_late_is_refused_in_a_sentence(database: Path) -> None:
    state = folded(database)
    stream, agent = next((stream, one) for stream, one in state.agents.items() if one.status.value == "completed")
    result = review(database, int(run_of(stream)), "--accept-late", f"agent-{agent.agent}")
    assert result.exit_code == 1
    assert result.stderr == (f"mephisto-es review: the work of agent-{agent.agent} is not late: review it as usual\n")


def test_a_bonus_does_not_go_with_late_work(database: Path) -> None:
    run, agent = late_agents(folded(database), free=True)[0]
    result = review(database, run, "--accept-late", f"agent-{agent}", "--bonus", "0.50")
    assert result.exit_code == 2
    assert "--bonus does not go with --accept-late" in result.stderr
