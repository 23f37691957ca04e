"""Scripts written for Mephisto: what `mephisto-es port` makes of them, and what it says that it cannot change."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from click.testing import CliRunner

from mephisto_es.adapters.cli.main import main as command
from mephisto_es.adapters.porting.script import port_script
from mephisto_es.core.errors import ConfigError

LAUNCH = '''#!/usr/bin/env python3
"""Ask for colors."""

from omegaconf import DictConfig
from mephisto.operations.operator import Operator
from mephisto.tools.scripts import (
    task_script,
    build_custom_bundle,
)
from mephisto.abstractions.blueprints.static_html_task.static_html_blueprint import BLUEPRINT_TYPE_STATIC_HTML
from mephisto.abstractions.blueprints.static_html_task.static_html_blueprint import StaticHTMLBlueprint as Html
from mephisto.data_model.worker import Worker


def launch(operator: Operator, cfg: DictConfig) -> None:
    print("Größe:", operator.validate_and_run_config(cfg.mephisto).upper())


@task_script(default_config_file="colors")
def main(operator: Operator, cfg: DictConfig) -> None:
    build_custom_bundle(cfg.task_dir, force_rebuild=cfg.mephisto.task.force_rebuild)
    launch(operator, cfg)
    operator.wait_for_runs_then_shutdown(skip_input=True, log_rate=30)
    assert Html and BLUEPRINT_TYPE_STATIC_HTML and Worker


if __name__ == "__main__":
    main()
'''
PORTED = '''#!/usr/bin/env python3
"""Ask for colors."""

from omegaconf import DictConfig
from mephisto_es import Operator
from mephisto_es import task_script, build_custom_bundle
BLUEPRINT_TYPE_STATIC_HTML = "static_task"
from mephisto_es import StaticTaskBlueprint as Html
from mephisto_es import WORKER


async def launch(operator: Operator, cfg: DictConfig) -> None:
    print("Größe:", (await operator.launch_task_run(cfg.mephisto)).upper())


@task_script(default_config_file="colors")
async def main(operator: Operator, cfg: DictConfig) -> None:
    await build_custom_bundle(cfg.task_dir, force_rebuild=cfg.mephisto.task.force_rebuild)
    await launch(operator, cfg)
    await operator.wait_for_runs_then_shutdown(skip_input=True, log_rate=30)
    assert Html and BLUEPRINT_TYPE_STATIC_HTML and WORKER


if __name__ == "__main__":
    main()
'''
RUNNER = """
from mephisto.abstractions.blueprint import TaskRunner


class Echo(TaskRunner):
    def run_unit(self, unit, agent):
        if agent.get_live_update(timeout=3)["text"]:
            agent.observe({"text": "yes"})
        agent.await_submit()

    def cleanup_unit(self, unit):
        pass
"""
#: A script as before `task_script`: it registers a config class, and makes its operator itself.
OLD = """
import hydra
from dataclasses import dataclass, field
from mephisto.operations.operator import Operator
from mephisto.operations.utils import get_root_dir
from mephisto.tools.scripts import load_db_and_process_config
from mephisto.abstractions.blueprints.static_react_task.static_react_blueprint import BLUEPRINT_TYPE
from mephisto.operations.hydra_config import RunScriptConfig, register_script_config


@dataclass
class PlantConfig(RunScriptConfig):
    num_plants: int = 3


register_script_config(name="scriptconfig", module=PlantConfig)


@hydra.main(config_path="hydra_configs", config_name="scriptconfig")
def main(cfg: DictConfig) -> None:
    db, cfg = load_db_and_process_config(cfg)
    operator = Operator(db)
    operator.validate_and_run_config(cfg.mephisto, None)
    operator.wait_for_runs_then_shutdown(skip_input=True, log_rate=30)
"""
OLD_PORTED = """
import hydra
from dataclasses import dataclass, field
from mephisto_es import Operator
from mephisto_es import task_script
BLUEPRINT_TYPE = "static_react_task"
from mephisto_es import TaskConfig, register_script_config


@dataclass
class PlantConfig(TaskConfig):
    num_plants: int = 3


register_script_config(name="scriptconfig", module=PlantConfig)


@task_script(config=PlantConfig)
async def main(operator: Operator, cfg: DictConfig) -> None:
    await operator.launch_task_run(cfg.mephisto, None)
    await operator.wait_for_runs_then_shutdown(skip_input=True, log_rate=30)
"""
ODD = """
import mephisto.data_model
from mephisto.operations.operator import Operator
from mephisto.abstractions.blueprint import TaskBuilder, Blueprint
from mephisto.utils.nothing import nowhere

operator = Operator(db)
agent.update_status("completed")
operator.launch_task_run(cfg)
print(TaskBuilder, nowhere)
"""


def worker_name() -> str:
    """Return the public name that a worker of the data model has."""
    from mephisto_es import __all__ as names

    return "Worker" if "Worker" in names else "WorkerView"


def test_a_launch_script() -> None:
    ported = port_script(LAUNCH, "run_task.py")
    assert ported.obstacles == []
    assert ported.text == PORTED.replace("WORKER\n", f"{worker_name()}\n")
    ast.parse(ported.text)


def test_a_launch_script_that_stays_plain() -> None:
    ported = port_script(LAUNCH, "run_task.py", keeps_plain=True)
    assert ported.obstacles == []
    plain = PORTED.replace("(await operator.launch_task_run(cfg.mephisto))", "operator.launch_task_run(cfg.mephisto)")
    assert ported.text == plain.replace("async ", "").replace("await ", "").replace("WORKER\n", f"{worker_name()}\n")


def test_task_code() -> None:
    ported = port_script(RUNNER, "runner.py")
    assert ported.obstacles == []
    assert '(await agent.get_live_update(timeout=3))["text"]' in ported.text
    assert "async def run_unit(self, unit, agent):" in ported.text
    assert "\n    def cleanup_unit" in ported.text


def test_what_cannot_be_changed_is_listed_with_its_lines() -> None:
    problems = [str(obstacle) for obstacle in port_script(ODD, "odd.py").obstacles]
    assert problems == [
        "line 2: 'import mephisto.data_model': import the names themselves from mephisto_es",
        "line 4: TaskBuilder has no counterpart: "
        "Blueprint.build_page, or build_custom_bundle for a page that npm builds",
        "line 5: nowhere has no counterpart: nothing of that name is here; see docs/mephisto.md",
        "line 7: Operator(db): decorate main with @task_script(...), or use open_operator(data_dir)",
        "line 8: update_status(...): remove it: a status follows from what happened",
        "line 9: launch_task_run(...) has to be awaited in an async function",
    ]


def test_a_script_that_makes_its_operator_itself() -> None:
    ported = port_script(OLD, "run_task.py")
    assert ported.obstacles == []
    assert ported.text == OLD_PORTED
    plain = port_script(OLD, "run_task.py", keeps_plain=True).text
    assert plain == OLD_PORTED.replace("async ", "").replace("await ", "")
    elsewhere = port_script(OLD.replace('"hydra_configs"', '"conf", version_base="1.1"'), "run_task.py").text
    assert '@task_script(config=PlantConfig, config_path="conf")' in elsewhere


def test_what_such_a_script_does_with_its_database_is_left_to_do() -> None:
    unknown = OLD.replace('config_name="scriptconfig"', 'config_name="another"')
    assert [str(one) for one in port_script(unknown, "run_task.py").obstacles] == [
        "line 19: hydra.main: write @task_script(config=...) with the class registered as 'another'"
    ]
    uses_db = OLD.replace("Operator(db)\n", "Operator(db)\n    print(db.find_workers())\n")
    assert [str(one) for one in port_script(uses_db, "run_task.py").obstacles] == [
        "line 23: db: in an async main, read with MephistoDB(...) from mephisto_es instead"
    ]
    decorated = OLD.replace('@hydra.main(config_path="hydra_configs", config_name="scriptconfig")', "@task_script()")
    assert [str(one) for one in port_script(decorated, "run_task.py").obstacles] == [
        "line 20: main has to take the operator that task_script makes"
    ]


def test_an_entity_made_of_a_database_and_an_id_is_read() -> None:
    script = "from mephisto.data_model.worker import Worker\nname = Worker(db, data['worker_id']).worker_name\n"
    ported = port_script(script, "examine.py").text
    assert ported.endswith("View.get(db, data['worker_id']).worker_name\n")


def test_a_constructor_is_not_given_the_run() -> None:
    script = (
        "class Leaf(StaticReactBlueprint):\n"
        "    def __init__(self, task_run: 'TaskRun', args, shared_state):\n"
        "        super().__init__(task_run, args, shared_state)\n"
        "class Runner(TaskRunner):\n"
        "    def __init__(self, task_run, args, shared_state):\n"
        "        TaskRunner.__init__(self, task_run, args, shared_state)\n"
        "        self.name = task_run.task_name\n"
        "class Other:\n"
        "    def __init__(self, task_run, more): ...\n"
    )
    ported = port_script(script, "a.py")
    assert ported.text == script.replace("task_run: 'TaskRun', ", "").replace("task_run, args", "args")
    assert [str(one) for one in ported.obstacles] == [
        "line 7: task_run: a constructor gets none here; use args, or the methods' arguments"
    ]


def test_parlai_is_not_needed() -> None:
    [obstacle] = port_script("from parlai.core.worlds import validate\n", "worlds.py").obstacles
    assert str(obstacle).startswith("line 1: from parlai.core.worlds: worlds need no ParlAI here: remove it")
    for supplied in ("self.agents", "episode_done", "shutdown", "prep_save_data"):
        assert supplied in str(obstacle)


WORLD_FILE = """
from parlai.crowdsourcing.utils.worlds import CrowdTaskWorld

def say(agent, text):
    agent.observe({"text": text})

class Chat(CrowdTaskWorld):
    def parley(self):
        for agent in self.agents:
            say(agent, self.agents[0].act()["text"])
            agent.observe({"text": "next"})

    def shutdown(self):
        self.agent.await_submit()

def make_world(opt, agents):
    agents[0].observe({"text": "hello"})
    return Chat(opt, agents)
"""


def test_worlds_stay_plain_because_they_run_in_threads() -> None:
    assert "async" not in port_script(WORLD_FILE, "worlds.py").text
    assert "await " not in port_script(WORLD_FILE, "worlds.py").text
    both = port_script(f"{WORLD_FILE}{RUNNER}", "task.py").text
    assert both.startswith(WORLD_FILE)
    assert "async def run_unit" in both
    assert "await agent.observe" in both
    helper = "from mephisto_es import MephistoAgentWrapper\ndef say(agent):\n    agent.observe({})\n"
    assert port_script(helper, "words.py").text == helper


def test_a_page_is_built_by_its_present_name() -> None:
    script = "from mephisto.tools.scripts import build_and_return_custom_bundle as build\n"
    assert port_script(script, "a.py").text == "from mephisto_es import build_custom_bundle as build\n"


def test_a_class_that_reads_entities_is_told_from_the_one_of_task_code() -> None:
    script = "from mephisto.data_model.unit import Unit\n"
    assert port_script(script, "a.py").text == "from mephisto_es import Unit\n"
    ported = port_script(f"{script}unit = Unit.get(db, 1)\n", "a.py").text
    assert ported == "from mephisto_es import UnitView\nunit = UnitView.get(db, 1)\n"


def test_a_file_that_is_not_python_is_named() -> None:
    with pytest.raises(ConfigError, match=r"bad\.py, line 1 is not Python"):
        port_script("def", "bad.py")


def test_the_verb_prints_a_diff_and_leaves_the_script(tmp_path: Path) -> None:
    script = tmp_path / "runner.py"
    script.write_text(RUNNER)
    output = tmp_path / "ported" / "runner.py"
    done = CliRunner().invoke(command, ["port", str(script), "-o", str(output)])
    assert done.exit_code == 0, done.stderr
    assert (
        "-from mephisto.abstractions.blueprint import TaskRunner\n+from mephisto_es import TaskRunner\n" in done.stdout
    )
    assert script.read_text() == RUNNER
    assert output.read_text() == port_script(RUNNER, "").text
    script.write_text(ODD)
    done = CliRunner().invoke(command, ["port", str(script)])
    assert done.exit_code == 1
    assert f"{script}, line 4: TaskBuilder has no counterpart" in done.stderr


def test_a_script_that_needs_no_changes_is_named_on_standard_error(tmp_path: Path) -> None:
    script = tmp_path / "ported.py"
    script.write_text(port_script(RUNNER, "").text)
    done = CliRunner().invoke(command, ["port", str(script)])
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == f"{script} needs no changes: it uses nothing that is different here\n"


def test_constants_of_statuses_keep_their_values() -> None:
    script = (
        "from mephisto.abstractions._subcomponents.agent_state import AgentState\n"
        "from mephisto.data_model.constants.assignment_state import AssignmentState\n"
        "RESULT = [AgentState.STATUS_APPROVED, AgentState.STATUS_IN_TASK, AssignmentState.COMPLETED]\n"
    )
    ported = port_script(script, "review.py")
    assert ported.obstacles == []
    assert ported.text.endswith("AgentState.STATUS_IN_TASK, UnitStatus.COMPLETED.value]\n")
    names: dict[str, list[str]] = {}
    exec(ported.text, names)  # the script runs
    assert names["RESULT"] == ["approved", "in task", "completed"]


def test_an_attribute_that_the_class_here_does_not_have_is_reported() -> None:
    script = (
        "from mephisto.data_model.constants.assignment_state import AssignmentState as State\n"
        "from mephisto.abstractions.databases.local_singleton_database import MephistoSingletonDB\n"
        "db = MephistoSingletonDB()\n"
        "print(State.MIXED, State.payable(), db.find_units(), db.get_review_stats())\n"
    )
    ported = port_script(script, "review.py")
    assert "db = LocalMephistoDB()" in ported.text
    assert [str(one) for one in ported.obstacles] == [
        "line 4: State.MIXED has no counterpart: UnitStatus has no MIXED",
        "line 4: State.payable has no counterpart: UnitStatus has no payable",
        "line 4: db.get_review_stats(...) has no counterpart; see docs/mephisto.md",
    ]


@pytest.mark.parametrize("call", ["unit.set_db_status('x')", "unit.sync_status()", "agent.state.update_data({})"])
def test_a_leftover_alone_is_left_to_do(tmp_path: Path, call: str) -> None:
    script = tmp_path / "fix.py"
    script.write_text(f"{call}\n")
    done = CliRunner().invoke(command, ["port", str(script)])
    assert (done.exit_code, done.stderr[: len(f"{script}, line 1")]) == (1, f"{script}, line 1")


def test_defaults_begin_with_the_class_itself() -> None:
    script = 'defaults = [\n    {"mephisto/blueprint": "mock"},\n    {"conf": "example"},\n]\nother = [{"conf": 1}]\n'
    ported = port_script(script, "run_task.py").text
    assert ported == script.replace('{"mephisto/bl', '"_self_", {"mephisto/bl')
    assert port_script(ported, "run_task.py").text == ported
