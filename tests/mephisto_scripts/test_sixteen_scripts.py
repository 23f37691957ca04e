"""Sixteen launch scripts of Mephisto's kind, run from start to end after their imports were changed, and their data."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mephisto_es import AgentView, MephistoDB, UnitView
from mephisto_es.adapters.architects.memory.router import MemoryRouter
from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.porting.script import port_script
from mephisto_es.core.operations.configuration.file_check import FileVerdict, check_config_file
from mephisto_es.projections.registry import PROJECTIONS

from .bots import Bot, BotProvider
from .expected_data import AGENTS, ONBOARDINGS, OPINION, collected, in_order, without_ids
from .tasks import CONFIG, TASKS, TaskFiles

TRUTHS = {"blue": "yes", "green": "yes", "yellow": "yes", "red": "no"}


async def fill_in(router: MemoryRouter, token: str, data: Any) -> None:
    """Fill in a form about the data."""
    router.submit_task(token, {"truth": TRUTHS.get(data.get("color", "blue"), "no")})


async def give_opinion(router: MemoryRouter, token: str, data: Any) -> None:
    """Leave an opinion beside the work, as pages of Mephisto 1.5 do."""
    router.submit_metadata(token, {"worker_opinion": {"questions": [{"question": "Was it clear?", "text": "yes"}]}})
    await fill_in(router, token, data)


async def call_procedures(router: MemoryRouter, token: str, data: Any) -> None:
    """Call procedures, wait for the answers, and submit."""
    socket = router.connect(token)
    for number, (target, args) in enumerate([("describe", '{"size": "big"}'), ("count", "null")]):
        update = {"request_id": f"{token}-{number}", "target": target, "args": args, "update_id": f"{token}-{number}"}
        router.send_live_update(token, update)
        while (packet := await socket.receive())["data"].get("handles") != f"{token}-{number}":
            pass
        assert "error" not in packet["data"], packet
    router.submit_task(token, {"done": data["task_data"]})


async def talk(router: MemoryRouter, token: str, data: Any) -> None:
    """Say something whenever it is this worker's turn, and submit at the end."""
    assert data["past_live_updates"] == []
    socket, said = router.connect(token), 0
    while not (news := (await socket.receive())["data"].get("task_data", {})).get("task_done"):
        if news.get("live_update_requested"):
            said += 1
            router.send_live_update(token, {"text": f"line {said}", "id": "me", "update_id": f"{token}-{said}"})
    router.submit_task(token, {"lines": said})


async def upload(router: MemoryRouter, token: str, data: Any) -> None:
    """Submit a form with the description of a file."""
    router.submit_task(token, {"proof": {"name": "proof.png", "size": 3, "type": "image/png"}})


async def answer_trial(router: MemoryRouter, token: str, data: Any) -> object:
    """Answer a trial with everything that a script may look for."""
    return {"color": "yellow", "success": True}


async def talk_in_trial(router: MemoryRouter, token: str, data: Any) -> object:
    """Answer the question of a world, and submit when the page is told that it is at its end."""
    socket = router.connect(token)
    while (packet := await socket.receive())["data"].get("status") != "waiting":
        if packet["data"].get("task_data", {}).get("live_update_requested"):
            router.send_live_update(token, {"text": "lemon", "id": "me", "update_id": "lemon"})
    return {}


BOTS: dict[str, list[Bot]] = {
    "worker_opinion": [Bot("ann", give_opinion, answer_trial)],
    "remote_procedure": [Bot("ann", call_procedures, answer_trial)],
    "remote_procedure_onboarding": [Bot("ann", call_procedures, answer_trial)],
    "chat": [Bot("ann", talk, talk_in_trial), Bot("bob", talk, talk_in_trial)],
    "chat_onboarding": [Bot("ann", talk, talk_in_trial)],
    "form_upload": [Bot("ann", upload, answer_trial)],
    "html": [Bot("ann", fill_in, answer_trial), Bot("bob", fill_in, answer_trial)],
    "generated": [Bot("spammer", fill_in, answer_trial), Bot("ann", fill_in, answer_trial)],
}


def looks(db: MephistoDB) -> dict[str, Callable[[list[AgentView], list[UnitView]], object]]:
    """Return what has to be true of a task beside its data."""
    return {
        "html_onboarding": lambda _, __: db.find_workers()[0].is_qualified("knows-fruits"),
        "react_screening": lambda _, units: sorted(unit.unit_index for unit in units if unit.agent_id)[0] == -1,
        "worker_opinion": lambda agents, _: (
            without_ids({"outputs": agents[0].state.get_worker_opinion()})["outputs"] == OPINION
        ),
        "gold": lambda _, units: -2 in {unit.unit_index for unit in units},
        "generated": lambda agents, _: (
            len(agents) == 2 and {agent.get_worker().worker_name for agent in agents} == {"ann"}
        ),
        "review": lambda agents, units: (
            {unit.status for unit in units} == {"accepted"}
            and db.find_agent_bonuses()[0].bonus_cents == 5
            and agents[0].get_worker().is_qualified("reviewed")
        ),
    }


def write(task: TaskFiles, folder: Path) -> Path:
    """Write the files of a task, its script with changed imports; returns the script."""
    settings = "\n".join(f"    {line}" for line in task.settings.splitlines())
    config = CONFIG.format(blueprint=task.blueprint, settings=settings, name=task.name, more=task.more)
    ported = port_script(task.script, task.name, keeps_plain=True)
    assert ported.obstacles == []
    files = {"hydra_configs/conf/task.yaml": config, "run_task.py": ported.text, **task.files}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder / "run_task.py"


def test_there_are_sixteen() -> None:
    assert len(TASKS) == 16


@pytest.mark.parametrize("task", TASKS, ids=[task.name for task in TASKS])
def test_a_script_runs_with_only_its_imports_changed(
    task: TaskFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = write(task, tmp_path)
    report = check_config_file(tmp_path / "hydra_configs" / "conf" / "task.yaml")
    assert report is not None
    assert report.verdict is not FileVerdict.DOES_NOT_RUN, report
    data_dir = tmp_path / "mephisto_data"
    overrides = ["mephisto/architect=memory", "mephisto/provider=bots", f"mephisto.database.data_dir={data_dir}"]
    monkeypatch.setattr(sys, "argv", [str(script), *overrides])
    monkeypatch.setattr(BotProvider, "bots", BOTS.get(task.name, [Bot("ann", fill_in, answer_trial)]))
    monkeypatch.setattr(BotProvider, "errors", [])
    runpy.run_path(str(script), run_name="__main__")
    assert BotProvider.errors == []
    checked = replay(data_dir / DATABASE_FILE, PROJECTIONS)
    assert checked.legal, checked.findings
    with MephistoDB(data_dir / DATABASE_FILE) as db:
        [run] = db.find_task_runs()
        assert run.status == "completed"
        units, agents = db.find_units(), db.find_agents()
        assert {unit.status for unit in units if unit.unit_index >= 0} <= {"completed", "accepted"}
        assert in_order(collected(db, agents)) == in_order(AGENTS[task.name])
        onboardings = [without_ids(one.state.get_data()) for one in db.find_onboarding_agents()]
        assert in_order(onboardings) == in_order(ONBOARDINGS.get(task.name, []))
        look = looks(db).get(task.name)
        assert look is None or look(agents, units)
