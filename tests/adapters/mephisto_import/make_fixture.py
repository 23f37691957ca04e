"""Makes a database by Mephisto's own code, with a dump of what its reading API says.

Run it with an interpreter that has Mephisto: `pip install mephisto==1.1.1` (Python 3.10), then
`python make_fixture.py FOLDER`, and pack the folder: `tar czf fixtures/mephisto-1.1.1.tar.gz -C FOLDER .`
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

#: How the work on each unit of the form ends, with the worker who does it; the last unit stays open.
ENDS = (
    (0, "approve"),
    (0, "soft_reject"),
    (1, "reject"),
    (1, "completed"),
    (0, "disconnect"),
    (1, "returned"),
    (1, "timeout"),
    (0, "file"),
    (1, "open"),
)
LEFT = ("disconnect", "returned", "timeout")
FILE = {
    "filename": "9-photo-me.png",
    "fieldname": "photo",
    "originalname": "me.png",
    "mimetype": "image/png",
}


class Maker:
    """Writes the database through Mephisto's data model."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        import_module("mephisto.operations.registry").fill_registries()
        database = import_module("mephisto.abstractions.databases.local_database")
        mock = "mephisto.abstractions.providers.mock"
        self._runs = import_module("mephisto.data_model.task_run")
        self._assignments = import_module("mephisto.data_model.assignment")
        self._onboarding = import_module("mephisto.data_model.agent").OnboardingAgent
        self._unit = import_module(f"{mock}.mock_unit").MockUnit
        self._agent = import_module(f"{mock}.mock_agent").MockAgent
        self.db: Any = database.LocalMephistoDB(str(folder / "database.db"))
        self.requester = import_module(f"{mock}.mock_requester").MockRequester.new(self.db, "MOCK_REQUESTER")
        worker = import_module(f"{mock}.mock_worker").MockWorker
        self.workers = [worker.new_from_provider_data(self.db, {"worker_name": name}) for name in ("WA", "WB", "WC")]

    def run(self, name: str, kind: str, project: str | None = None) -> Any:
        """Create a task, which may be in a project, and a run of it."""
        task = self.db.new_task(name, kind, project_id=project)
        config = json.dumps({"task": {"task_name": name}})
        run = self.db.new_task_run(task, self.requester.db_id, config, "mock", kind, sandbox=True)
        return self._runs.TaskRun.get(self.db, run)

    def unit(self, run: Any, data: dict[str, object]) -> Any:
        """Create an assignment with one unit on offer."""
        return self.units(run, data, 1)[0]

    def units(self, run: Any, data: dict[str, object], count: int) -> list[Any]:
        """Create an assignment with units on offer."""
        requester, kind = self.requester.db_id, run.task_type
        number = self.db.new_assignment(run.task_id, run.db_id, requester, kind, "mock", sandbox=True)
        assignment = self._assignments.Assignment.get(self.db, number)
        assignment.write_assignment_data(self._assignments.InitializationData(shared=data, unit_data=[{}] * count))
        units = [self._unit.new(self.db, assignment, index, 0.3) for index in range(count)]
        for unit in units:
            unit.set_db_status("launched")
        return units

    def agent(self, worker: int, unit: Any, data: dict[str, object]) -> Any:
        """Let a worker begin a unit."""
        agent = self._agent.new(self.db, self.workers[worker], unit)
        agent.state.set_init_state(data)
        agent.update_status("in task")
        return agent

    def onboard(self, worker: int, run: Any, answer: dict[str, object], status: str) -> None:
        """Let a worker do the onboarding."""
        agent = self._onboarding.new(self.db, self.workers[worker], run)
        agent.state.set_init_state({"question": 1})
        agent.update_status("waiting")
        agent.state.update_submit(answer)
        agent.update_status(status)


def submit(agent: Any, data: dict[str, object]) -> None:
    """Submit an agent's work."""
    agent.state.update_submit(data)
    agent.update_status("completed")


def make_forms(maker: Maker) -> None:
    """Make a run of a static task in which work ends in every way."""
    run = maker.run("rate", "static_react_task")
    maker.onboard(0, run, {"success": True}, "approved")
    maker.onboard(2, run, {"success": False}, "rejected")
    for number, (worker, end) in enumerate(ENDS):
        text: dict[str, object] = {"text": f"Sentence {number}"}
        unit = maker.unit(run, text)
        if end == "open":
            continue
        agent = maker.agent(worker, unit, text)
        if end in LEFT:
            agent.update_status(end)
            continue
        if end == "file":
            folder = Path(agent.get_data_dir())
            folder.mkdir(parents=True, exist_ok=True)
            (folder / FILE["filename"]).write_bytes(b"PNG" * 30)
            submit(agent, {"rating": 3, "files": [dict(FILE)]})
            continue
        submit(agent, {"rating": number + 1, "nested": {"a": [1, 2]}})
        if end == "approve":
            agent.state.metadata.tips = [{"id": "x", "header": "h", "text": "be kind", "accepted": False}]
            said = {"id": "y", "question": "How was it?", "text": "fine", "reviewed": False, "toxicity": None}
            agent.state.metadata.feedback = [said]
            agent.state.save_data()
            agent.approve_work()
        elif end == "soft_reject":
            agent.soft_reject_work()
        elif end == "reject":
            agent.reject_work("not the task")


def make_live_work(maker: Maker) -> None:
    """Make a remote procedure and a chat."""
    run = maker.run("calls", "remote_procedure")
    agent = maker.agent(0, maker.unit(run, {"text": "x"}), {"text": "x"})
    agent.state.update_data({"request_id": "r1", "target": "add", "args": "[1]"})
    agent.state.update_data({"handles": "r1", "response": "2"})
    submit(agent, {"done": True})
    maker.db.update_task_run(run.db_id, is_completed=True)
    run = maker.run("chat", "parlai_chat", maker.db.new_project("speech"))
    agent = maker.agent(1, maker.unit(run, {"topic": "cats"}), {"topic": "cats"})
    for speaker, text in (("Speaker 1", "Hello, how are you?"), ("Speaker 2", "Fine")):
        agent.state.update_data({"id": speaker, "text": text, "update_id": speaker, "task_data": {}})
    submit(agent, {"rating": 5})
    pair = maker.units(run, {"topic": "dogs"}, 2)
    for agent in [maker.agent(worker, unit, {"topic": "dogs"}) for worker, unit in enumerate(pair)]:
        agent.state.update_data({"id": "Host", "text": "Hello", "update_id": f"hello {agent.db_id}", "task_data": {}})
        agent.update_status("partner disconnect" if agent.worker_id == maker.workers[0].db_id else "disconnect")


def finish(maker: Maker) -> None:
    """Make what is not part of a run, and the statuses of units, which Mephisto updates as it looks at them."""
    maker.db.new_project("nothing yet")
    for name, worker, value in (("can-rate", 0, 1), ("can-rate", 1, 0), ("spam", 2, 3)):
        if not maker.db.find_qualifications(name):
            maker.db.make_qualification(name)
        maker.workers[worker].grant_qualification(name, value)
    maker.workers[1].grant_qualification("spam", 1)
    maker.workers[1].revoke_qualification("spam")
    maker.workers[2].block_worker("spam", requester=maker.requester)
    for unit in maker.db.find_units():
        agent = unit.get_assigned_agent()
        if agent is not None and agent.get_status() in LEFT:
            unit.clear_assigned_agent()
            unit.set_db_status("launched")
        else:
            unit.sync_status()


def dump(maker: Maker) -> dict[str, object]:
    """Return everything as Mephisto reads it."""
    db = maker.db
    return {
        "agents": {
            one.db_id: {
                "status": one.db_status,
                "data": one.state.get_data(),
                "tips": one.state.get_tips(),
                "feedback": one.state.get_feedback(),
                "start": one.state.metadata.task_start,
                "end": one.state.metadata.task_end,
            }
            for one in db.find_agents()
        },
        "tasks": {
            one.db_id: [one.task_name, project.project_name if (project := one.get_project()) else None]
            for one in db.find_tasks()
        },
        "projects": [one.project_name for one in db.find_projects()],
        "units": {one.db_id: [one.db_status, one.agent_id, one.pay_amount] for one in db.find_units()},
        "workers": {one.db_id: [one.worker_name, bool(one.is_blocked(maker.requester))] for one in db.find_workers()},
        "onboardings": {one.db_id: [one.db_status, one.state.get_data()] for one in db.find_onboarding_agents()},
        "qualifications": [
            [one.worker_id, db.get_qualification(one.qualification_id)["qualification_name"], one.value]
            for one in db.check_granted_qualifications()
        ],
        "runs": {
            one.db_id: [one.get_is_completed(), one.get_task().task_name, one.task_type] for one in db.find_task_runs()
        },
    }


def main(folder: Path) -> None:
    """Make the database and the dump in a folder."""
    maker = Maker(folder)
    make_forms(maker)
    make_live_work(maker)
    finish(maker)
    (folder / "dump.json").write_text(json.dumps(dump(maker), indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
