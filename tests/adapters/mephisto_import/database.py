"""A small Mephisto database, with its folder of data."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

_TASK = "task_id INTEGER NOT NULL"
_RUN = f"{_TASK}, task_run_id INTEGER NOT NULL"
_KIND = "task_type TEXT NOT NULL, provider_type TEXT NOT NULL"
_DATE = "creation_date DATETIME DEFAULT CURRENT_TIMESTAMP"

#: The tables and columns of Mephisto 1.5, before the migration that renames `unit_review`.
SCHEMA = f"""
CREATE TABLE projects (project_id INTEGER PRIMARY KEY, project_name TEXT NOT NULL UNIQUE, {_DATE});
CREATE TABLE tasks (
    task_id INTEGER PRIMARY KEY, task_name TEXT NOT NULL UNIQUE, task_type TEXT NOT NULL,
    project_id INTEGER, parent_task_id INTEGER, {_DATE}
);
CREATE TABLE requesters (
    requester_id INTEGER PRIMARY KEY, requester_name TEXT NOT NULL UNIQUE, provider_type TEXT NOT NULL, {_DATE}
);
CREATE TABLE task_runs (
    task_run_id INTEGER PRIMARY KEY, {_TASK}, requester_id INTEGER NOT NULL, init_params TEXT NOT NULL,
    is_completed BOOLEAN NOT NULL, {_KIND}, sandbox BOOLEAN NOT NULL, {_DATE}
);
CREATE TABLE assignments (
    assignment_id INTEGER PRIMARY KEY, {_RUN}, requester_id INTEGER NOT NULL, {_KIND}, sandbox BOOLEAN NOT NULL, {_DATE}
);
CREATE TABLE units (
    unit_id INTEGER PRIMARY KEY, assignment_id INTEGER NOT NULL, unit_index INTEGER NOT NULL, pay_amount FLOAT NOT NULL,
    provider_type TEXT NOT NULL, status TEXT NOT NULL, agent_id INTEGER, worker_id INTEGER, task_type TEXT NOT NULL,
    {_RUN}, sandbox BOOLEAN NOT NULL, requester_id INTEGER NOT NULL, {_DATE}, UNIQUE (assignment_id, unit_index)
);
CREATE TABLE workers (
    worker_id INTEGER PRIMARY KEY, worker_name TEXT NOT NULL UNIQUE, provider_type TEXT NOT NULL, {_DATE}
);
CREATE TABLE agents (
    agent_id INTEGER PRIMARY KEY, worker_id INTEGER NOT NULL, unit_id INTEGER NOT NULL, {_RUN},
    assignment_id INTEGER NOT NULL, {_KIND}, status TEXT NOT NULL, {_DATE}
);
CREATE TABLE onboarding_agents (
    onboarding_agent_id INTEGER PRIMARY KEY, worker_id INTEGER NOT NULL, {_RUN}, task_type TEXT NOT NULL,
    status TEXT NOT NULL, {_DATE}
);
CREATE TABLE qualifications (qualification_id INTEGER PRIMARY KEY, qualification_name TEXT NOT NULL UNIQUE, {_DATE});
CREATE TABLE granted_qualifications (
    granted_qualification_id INTEGER PRIMARY KEY, worker_id INTEGER NOT NULL, qualification_id INTEGER NOT NULL,
    value INTEGER NOT NULL, {_DATE}, UNIQUE (worker_id, qualification_id)
);
CREATE TABLE unit_review (
    id INTEGER PRIMARY KEY, unit_id INTEGER NOT NULL, worker_id INTEGER NOT NULL, {_TASK}, status TEXT NOT NULL,
    review_note TEXT, bonus INTEGER, blocked_worker BOOLEAN DEFAULT false, updated_qualification_id INTEGER,
    updated_qualification_value INTEGER, revoked_qualification_id INTEGER,
    created_at DATETIME DEFAULT CURRENT_TIMESTAMP
);
"""

#: What the later migration does to the verdicts.
MIGRATION = """
CREATE TABLE worker_review AS SELECT *, created_at AS creation_date FROM unit_review;
ALTER TABLE worker_review DROP COLUMN created_at;
DROP TABLE unit_review;
"""

#: Unit, its status, the agent it names, and the agents it ever had: id, worker, status.
UNITS: tuple[tuple[int, str, int | None, tuple[tuple[int, int, str], ...]], ...] = (
    (1, "completed", 1, ((1, 1, "completed"),)),
    (2, "accepted", 3, ((2, 1, "returned"), (3, 2, "approved"))),
    (3, "rejected", 4, ((4, 1, "rejected"),)),
    (4, "soft_rejected", 5, ((5, 2, "soft_rejected"),)),
    (5, "launched", None, ((6, 3, "disconnect"),)),
    (6, "launched", None, ()),
    (7, "assigned", 7, ((7, 3, "in task"),)),
    (8, "expired", None, ((8, 2, "timeout"),)),
    (9, "expired", 9, ((9, 1, "expired"),)),
    (10, "created", None, ()),
    (11, "created", None, ((10, 3, "returned"),)),
    (12, "completed", 11, ((11, 2, "partner disconnect"),)),
    (13, "assigned", 12, ((12, 1, "waiting"),)),
    (14, "assigned", 13, ((13, 2, "accepted"),)),
)
ONBOARDINGS = ("approved", "rejected", "waiting", "onboarding", "disconnect", "timeout", "returned")


def make(path: Path) -> Path:
    """Write the database and the folder beside it; two runs, of which one was completed."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript(SCHEMA)
        db.execute("INSERT INTO tasks VALUES (1, 'rate sentences', 'static_task', NULL, NULL, '2024-03-01 09:00:00')")
        db.execute("INSERT INTO requesters VALUES (1, 'MOCK_REQUESTER', 'mock', '2024-03-01 09:00:00')")
        db.execute("INSERT INTO qualifications VALUES (1, 'can-rate', '2024-03-01 09:00:01')")
        for worker in (1, 2, 3):
            db.execute(
                "INSERT INTO workers VALUES (?, ?, 'mock', ?)", (worker, f"Zoë {worker}", f"2024-03-01 10:00:0{worker}")
            )
        db.execute("INSERT INTO granted_qualifications VALUES (1, 1, 1, 3, '2024-03-01 10:30:00')")
        for run, completed in ((1, 0), (2, 1)):
            db.execute(
                "INSERT INTO task_runs VALUES (?, 1, 1, '{\"a\": 1}', ?, 'static_task', 'mock', 1, ?)",
                (run, completed, f"2024-03-0{run} 09:30:00"),
            )
        for unit, status, holder, agents in UNITS:
            _unit(db, unit, status, holder, run=1)
            for number, worker, agent_status in agents:
                _agent(db, number, worker, unit, agent_status, run=1)
        _unit(db, 15, "accepted", 14, run=2)
        _agent(db, 14, 1, 15, "approved", run=2)
        for number, status in enumerate(ONBOARDINGS, start=1):
            values = (number, number % 3 + 1, status, f"2024-03-01 10:40:{number:02}")
            db.execute("INSERT INTO onboarding_agents VALUES (?, ?, 1, 1, 'static_task', ?, ?)", values)
        db.execute(
            "INSERT INTO unit_review(unit_id, worker_id, task_id, status, review_note, bonus, created_at)"
            " VALUES (2, 2, 1, 'approved', 'well done', 2, '2024-03-05 08:00:00')"
        )
        db.commit()
    _write(path.parent / "data" / "runs" / "NO_PROJECT" / "1")
    return path


def _unit(db: sqlite3.Connection, unit: int, status: str, holder: int | None, run: int) -> None:
    date = f"2024-03-0{run} 09:31:{unit:02}"
    db.execute("INSERT INTO assignments VALUES (?, 1, ?, 1, 'static_task', 'mock', 1, ?)", (unit, run, date))
    db.execute(
        "INSERT INTO units VALUES (?, ?, 0, 0.3, 'mock', ?, ?, NULL, 'static_task', 1, ?, 1, 1, ?)",
        (unit, unit, status, holder, run, date),
    )


def _agent(db: sqlite3.Connection, agent: int, worker: int, unit: int, status: str, run: int) -> None:
    values = (agent, worker, unit, run, unit, status, f"2024-03-0{run} 11:00:{agent:02}")
    db.execute("INSERT INTO agents VALUES (?, ?, ?, 1, ?, ?, 'static_task', 'mock', ?, ?)", values)


def _write(folder: Path) -> None:
    agent = folder / "1" / "1"
    agent.mkdir(parents=True)
    (folder / "1" / "assign_data.json").write_text(json.dumps({"shared": {}, "unit_data": [{"text": "Hello"}]}))
    (agent / "agent_data.json").write_text(json.dumps({"inputs": {"text": "Hello"}, "outputs": {"rating": 4}}))
    times = {"task_start": 1_709_290_810.0, "task_end": 1_709_290_870.5}
    (agent / "agent_meta.json").write_text(json.dumps(times | {"tips": None, "feedback": None}))
