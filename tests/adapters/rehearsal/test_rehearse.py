"""Rehearsals as users run them: a command, a launch script in a process of its own, and simulated workers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
import trio

from mephisto_es.adapters.rehearsal.chromium import find_chromium
from mephisto_es.adapters.rehearsal.report import RehearsalReport
from mephisto_es.core.payloads import FILES_FOLDER, RUNS_FOLDER
from mephisto_es.projections.mephisto_db.reader import MephistoDB
from mephisto_es.projections.mephisto_db.rows import UnitRow

from ...json_schema import assert_fits

ROOT = Path(__file__).resolve().parents[3]
COMMAND = str(Path(sys.executable).parent / "mephisto-es")
PLANTED = Path(__file__).parent / "planted_faults"
#: So few workers that nobody leaves, which takes longer to be noticed than all the rest.
SMALL = ("--workers=3", "--units=4", "--seed=7")
GIVE_UP_SECONDS = 300


async def rehearsed(script: Path, folder: Path, *arguments: str) -> RehearsalReport:
    """Rehearse a script in a process of its own; return its report."""
    command = [COMMAND, "rehearse", str(script), *SMALL, f"--data-dir={folder}", "--json", *arguments]
    with trio.fail_after(GIVE_UP_SECONDS):
        done = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)
    assert done.returncode in (0, 1), done.stderr.decode()
    assert_fits("rehearse", done.stdout.decode())
    report = msgspec.json.decode(done.stdout, type=RehearsalReport)
    assert done.returncode == any(report.findings()), "the exit code says whether something was found"
    return report


WORLDS = """
class Chat:
    def __init__(self, agents):
        self.agents, self.turns = agents, 0
    def parley(self):
        self.turns += 1
        for agent in self.agents:
            agent.act()
    def episode_done(self):
        return self.turns == 3
def make_world(opt, agents):
    return Chat(agents)
def get_world_params():
    return {"agent_count": 2}
"""


def chat_with_worlds(folder: Path) -> Path:
    """Write the launch script of a chat with worlds; return its path."""
    conf = folder / "hydra_configs" / "conf"
    conf.mkdir(parents=True)
    (folder / "worlds.py").write_text(WORLDS)
    text = (ROOT / "examples" / "paired_chat" / "hydra_configs" / "conf" / "paired_chat.yaml").read_text()
    head, _, task = text.partition("  task:\n")
    blueprint = "mephisto:\n  blueprint:\n    world_file: ${task_dir}/worlds.py\n    num_conversations: 1\n"
    head = head.partition("mephisto:\n")[0].replace("paired_chat", "parlai_chat")
    (conf / "worlds.yaml").write_text(f"{head}{blueprint}  task:\n{task.replace('paired-chat', 'worlds')}")
    script = folder / "run_task.py"
    shutil.copy(ROOT / "examples" / "paired_chat" / "run_task.py", script)
    script.write_text(script.read_text().replace("paired_chat", "worlds"))
    return script


async def test_examples_need_no_second_look(tmp_path: Path) -> None:
    scripts = {
        "sentence-rating": ROOT / "examples" / "sentence_rating" / "run_task.py",
        "plain-words": ROOT / "examples" / "remote_procedure" / "run_task.py",
        "paired-chat": ROOT / "examples" / "paired_chat" / "run_task.py",
        "worlds": chat_with_worlds(tmp_path / "script"),
        "chat-in-turns": ROOT / "docs" / "tutorial" / "chat_in_turns" / "run_task.py",
    }
    reports: dict[str, RehearsalReport] = {}

    async def rehearse(name: str, script: Path) -> None:
        # With an even number of workers nobody waits for a partner in vain.
        reports[name] = await rehearsed(script, tmp_path / name, "--no-browser", "--workers=2", "--units=2")

    async with trio.open_nursery() as nursery:
        for name, script in scripts.items():
            nursery.start_soon(rehearse, name, script)
    for name, report in reports.items():
        [run] = report.runs
        assert (run.task_name, list(report.findings())) == (name, [])
        assert run.units["completed"] == run.submissions > 0
        assert run.crowd.workers == 2
        assert run.planned_cents
        assert run.cost_cents
        honest, careless = run.pay
        assert (honest.kind, careless.kind) == ("honest", "careless")
        assert honest.cents_per_hour


@pytest.mark.parametrize("has_browser", [False, True])
async def test_planted_faults_are_named(tmp_path: Path, has_browser: bool) -> None:
    if has_browser and find_chromium() is None:
        pytest.skip("Chromium is not installed")
    browser = "--browser" if has_browser else "--no-browser"
    report = await rehearsed(PLANTED / "run_task.py", tmp_path, browser)
    [run] = report.runs
    [failed] = run.failed_callbacks
    assert (failed.function, failed.error, failed.location) == (
        "worker_can_do_unit",
        "raised KeyError",
        "run_task.py:10",
    )
    assert failed.workers == 1
    found = list(report.findings())
    assert "the page may stay blank: page.js loads /missing.js, which is not there (404)" in found
    assert "field never filled: no submission has an answer to 'comment'" in found
    assert any(one.startswith("blank page: the task page showed nothing") for one in found) == has_browser
    assert any("/missing.js" in error for error in run.console_errors) == has_browser


async def test_answers_come_from_a_file(tmp_path: Path) -> None:
    answers = tmp_path / "my_bots.py"
    (tmp_path / "photo.png").write_bytes(b"a photo")
    answers.write_text(
        "from pathlib import Path\n"
        "from mephisto_es import BotFile\n"
        "calls = []\n"
        "def answer(unit_data, rng):\n"
        "    calls.append(unit_data)\n"
        "    if len(calls) == 2:\n"
        "        raise RuntimeError(unit_data)\n"
        "    note = BotFile('note.txt', b'a note', 'text/plain')\n"
        "    return {'rating': 9, 'photos': [Path('photo.png'), note]}\n"
    )
    script = ROOT / "examples" / "sentence_rating" / "run_task.py"
    form = (
        "[{name: rating, type: scale, min: 1, max: 5}, {name: comment, type: text}, "
        "{name: photos, type: file, multiple: true}]"
    )
    arguments = ("--no-browser", f"--answers={answers}", f"mephisto.blueprint.form={form}")
    report = await rehearsed(script, tmp_path / "data", *arguments)
    [run] = report.runs
    assert list(run.answers_failures) == ["answer raised RuntimeError at my_bots.py:7"]
    assert run.answer_problems == {"rating: is not one of the answers": run.submissions}
    assert run.unfilled_fields == ("comment",)
    uploaded = [path.read_bytes() for path in (tmp_path / "data" / RUNS_FOLDER / "1" / FILES_FOLDER).glob("*/*")]
    assert set(uploaded) == {b"a note", b"a photo"}
    # Whoever presses the button twice uploads twice.
    assert uploaded.count(b"a note") == uploaded.count(b"a photo") >= run.submissions


def test_what_cannot_be_rehearsed_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "run_task.py"
    script.write_text("raise SystemExit('no configuration')")
    answers = tmp_path / "my_bots.py"
    answers.write_text("def answers(unit_data, rng): ...")
    done = subprocess.run([COMMAND, "rehearse", str(script), f"--answers={answers}"], capture_output=True, text=True)
    assert (done.returncode, "has no function answer" in done.stderr) == (2, True)
    done = subprocess.run([COMMAND, "rehearse", str(script)], capture_output=True, text=True)
    assert done.returncode == 1
    assert "the script ended with status 1: no configuration" in done.stdout
    shutil.rmtree(Path(done.stderr.split(" in ")[-1].strip()))


async def test_workers_consent_and_one_withdraws(tmp_path: Path) -> None:
    script = ROOT / "examples" / "sentence_rating" / "run_task.py"
    report = await rehearsed(script, tmp_path, "--no-browser", "mephisto.task.consent=We keep your ratings.")
    [run] = report.runs
    assert (list(report.findings()), run.submissions) == ([], 4)
    withdrawn = await command("worker", str(tmp_path), "worker-1", "--withdraw-consent=1")
    assert withdrawn.returncode == 0, withdrawn.stderr.decode()
    with closing(MephistoDB(Path(report.database))) as db:
        units = [
            (unit.worker_id, unit.status, db.get_outputs(db.get_agent(unit.agent_id or 0))) for unit in done_units(db)
        ]
    assert units
    for worker, status, outputs in units:
        assert (status, outputs is None) == (("soft_rejected", True) if worker == 1 else ("completed", False))
    replayed = await command("replay", str(tmp_path))
    assert replayed.returncode == 0, replayed.stdout.decode()
    refused = await command("review", str(tmp_path), "1", "--approve", f"agent-{agent_of_worker_1(report.database)}")
    assert b"does not consent to run 1" in refused.stderr + refused.stdout


def done_units(db: MephistoDB) -> list[UnitRow]:
    """Return the units that somebody has done."""
    return [unit for unit in db.find_units() if unit.agent_id is not None and unit.status != "expired"]


def agent_of_worker_1(database: str) -> int:
    """Return an agent of the first worker."""
    with closing(MephistoDB(Path(database))) as db:
        return next(unit.agent_id for unit in done_units(db) if unit.worker_id == 1 and unit.agent_id is not None)


async def command(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run a verb of the command line."""
    with trio.fail_after(GIVE_UP_SECONDS):
        return await trio.run_process([COMMAND, *arguments], capture_stdout=True, capture_stderr=True, check=False)


async def test_honest_workers_pass_a_training(tmp_path: Path) -> None:
    report = await rehearsed(Path(__file__).parent / "trained" / "run_task.py", tmp_path, "--workers=5", "--no-browser")
    [run] = report.runs
    assert (list(report.findings()), run.units) == ([], {"completed": 4})
    assert run.onboarded >= 4
    assert run.onboarding_failed >= 1, "the careless worker has not practiced"
