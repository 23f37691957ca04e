"""Sixteen tasks in the shapes of Mephisto's examples, with content of our own: scripts, configurations, pages.

The scripts are Mephisto's: they import from `mephisto`, their functions are plain, and they call what its users call.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class TaskFiles(NamedTuple):
    """One task as its author has it."""

    name: str
    #: The blueprint that its configuration chooses.
    blueprint: str
    #: Settings of the blueprint in YAML, one a line.
    settings: str
    script: str
    files: Mapping[str, str] = MappingProxyType({})
    #: Lines at the end of the configuration, outside of `mephisto`.
    more: str = ""


CONFIG = """#@package _global_
defaults:
  - /mephisto/blueprint: {blueprint}
  - /mephisto/architect: local
  - /mephisto/provider: mock

mephisto:
  blueprint:
{settings}
  database:
    _database_type: local
  task:
    task_name: {name}
    task_title: "{name}"
    task_description: "A task about {name}."
    task_reward: 0.3
    task_tags: "{name},test"
    force_rebuild: false
{more}"""

HTML_CSV = "data_csv: ${task_dir}/data.csv\ntask_source: ${task_dir}/server_files/task.html"
REACT = "task_source: ${task_dir}/webapp/build/bundle.js\nlink_task_source: false\nextra_source_dir: ${task_dir}/static"
BUNDLE = "document.getElementById('app').textContent = 'a page';"
WEBAPP = {"webapp/build/bundle.js": BUNDLE, "static/style.css": "p { color: teal }"}
FRUITS = "fruit,color\nlemon,yellow\nplum,blue\n"
PAGE = "<h2>The ${fruit} is ${color}.</h2><label>True? <input name='truth' required></label>"

HEAD = """
from omegaconf import DictConfig
from mephisto.operations.operator import Operator
from mephisto.tools.scripts import task_script
from mephisto.abstractions.blueprints.abstract.static_task.static_blueprint import SharedStaticTaskState
"""
LAUNCH = """
    operator.launch_task_run(cfg.mephisto, shared_state)
    operator.wait_for_runs_then_shutdown(skip_input=True, log_rate=30)


if __name__ == "__main__":
    main()
"""
MAIN = """

@task_script(default_config_file="task")
def main(operator: Operator, cfg: DictConfig) -> None:
"""


def script(shared: str, before: str = "", imports: str = "") -> str:
    """Return a launch script with one expression for its shared state."""
    return f"{HEAD}{imports}\n{before}{MAIN}    shared_state = {shared}\n{LAUNCH}"


SCREENING = """
from mephisto.abstractions.blueprints.mixins.screen_task_required import ScreenTaskRequired
from mephisto.data_model.unit import Unit
"""
SCREEN = """
def screening_data():
    yield {"fruit": "kiwi", "color": "green"}
    yield {"fruit": "kiwi", "color": "red"}


def screen_unit(unit: Unit) -> bool:
    if unit.unit_index >= 0:
        return True
    agent = unit.get_assigned_agent()
    data = agent.state.get_data()
    return data["outputs"]["truth"] == ("yes" if data["inputs"]["color"] == "green" else "no")
"""

PROCEDURES = """
from mephisto.abstractions.blueprints.remote_procedure.remote_procedure_blueprint import (
    RemoteProcedureAgentState,
    SharedRemoteProcedureTaskState,
)
"""
WORLDS = """
class Chat:
    def __init__(self, opt, agents):
        self.agents, self.left = agents, opt["rounds"]
        for number, agent in enumerate(agents, start=1):
            agent.agent_id = f"Guest {number}"

    def parley(self):
        self.left -= 1
        for agent in self.agents:
            said = agent.act(timeout=60)
            for other in self.agents:
                if other is not agent:
                    other.observe(said)

    def episode_done(self):
        return self.left == 0

    def shutdown(self):
        pass

    def prep_save_data(self, agents):
        return {"guests": len(self.agents)}


class Trial:
    def __init__(self, opt, agent):
        self.agent, self.heard = agent, []

    def parley(self):
        self.agent.observe({"id": "Host", "text": "Which fruit is yellow?"})
        self.heard.append(self.agent.act(timeout=60)["text"])

    def episode_done(self):
        return bool(self.heard)

    def shutdown(self):
        pass


def make_world(opt, agents):
    return Chat(opt, agents)


def make_onboarding_world(opt, agent):
    return Trial(opt, agent)


def validate_onboarding(data):
    return any(message.get("text") == "lemon" for message in data["outputs"]["messages"])


def get_world_params():
    return {"agent_count": COUNT}
"""
CHAT = """
from mephisto.abstractions.blueprints.parlai_chat.parlai_chat_blueprint import (
    BLUEPRINT_TYPE_PARLAI_CHAT,
    SharedParlAITaskState,
)
"""
CHAT_STATE = 'SharedParlAITaskState(world_opt={"rounds": 2}, onboarding_world_opt={})'

TASKS = (
    TaskFiles(
        "html",
        "static_task",
        f"{HTML_CSV}\npreview_source: ${{task_dir}}/server_files/preview.html\nextra_source_dir: ${{task_dir}}/static\n"
        "units_per_assignment: 2\ntask_source_review: ${task_dir}/server_files/task.html",
        script("SharedStaticTaskState()"),
        {"data.csv": FRUITS, "server_files/task.html": PAGE, "server_files/preview.html": "<p>Fruits</p>", **WEBAPP},
    ),
    TaskFiles(
        "html_onboarding",
        "static_task",
        f"{HTML_CSV}\nonboarding_source: ${{task_dir}}/server_files/trial.html\nonboarding_qualification: knows-fruits",
        script(
            'SharedStaticTaskState(onboarding_data={"fruit": "lemon"}, validate_onboarding=onboarding_is_valid)',
            'def onboarding_is_valid(onboarding_data):\n    return onboarding_data["outputs"]["color"] == "yellow"\n',
        ),
        {
            "data.csv": FRUITS,
            "server_files/task.html": PAGE,
            "server_files/trial.html": "<p>Color of a ${fruit}?</p><input name='color'>",
        },
    ),
    TaskFiles(
        "react",
        "static_react_task",
        f"{REACT}\nunits_per_assignment: 1\ntask_source_review: null",
        script('SharedStaticTaskState(static_task_data=[{"fruit": "fig"}, {"fruit": "lime"}])'),
        WEBAPP,
    ),
    TaskFiles(
        "react_onboarding",
        "static_react_task",
        f"{REACT}\nonboarding_qualification: trained",
        script(
            """SharedStaticTaskState(
        static_task_data=[{"fruit": "fig"}], onboarding_data={"a": 1}, validate_onboarding=passes
    )""",
            'def passes(data):\n    return data["inputs"] == {"a": 1} and data["outputs"]["success"] is True\n',
        ),
        WEBAPP,
    ),
    TaskFiles(
        "react_screening",
        "static_react_task",
        f"{REACT}\nuse_screening_task: true\nmax_screening_units: 3\npassed_qualification_name: sees\n"
        "block_qualification: sees-not",
        script(
            """SharedStaticTaskState(
        static_task_data=[{"fruit": "fig", "color": "blue"}],
        screening_data_factory=screening_data(),
        on_unit_submitted=ScreenTaskRequired.create_validation_function(cfg.mephisto, screen_unit),
    )
    shared_state.qualifications += ScreenTaskRequired.get_mixin_qualifications(cfg.mephisto, shared_state)""",
            SCREEN,
            SCREENING,
        ),
        WEBAPP,
    ),
    TaskFiles(
        "worker_opinion",
        "static_react_task",
        REACT,
        script('SharedStaticTaskState(static_task_data=[{"fruit": "fig"}])'),
        WEBAPP,
    ),
    TaskFiles(
        "remote_procedure",
        "remote_procedure",
        f"{REACT}\nunits_per_assignment: 1",
        script(
            """SharedRemoteProcedureTaskState(
        static_task_data=[{"fruit": "fig"}], function_registry={"describe": describe, "count": count}
    )""",
            """
def describe(request_id, args, agent_state: RemoteProcedureAgentState):
    return {"text": f"{args['size']} {agent_state.init_data['fruit']}"}


def count(request_id, args, agent_state):
    return len([one for one in agent_state.requests.values() if one.response_json is not None])
""",
            PROCEDURES,
        ),
        WEBAPP,
    ),
    TaskFiles(
        "remote_procedure_onboarding",
        "remote_procedure",
        f"{REACT}\nonboarding_qualification: trained-too",
        script(
            """SharedRemoteProcedureTaskState(
        static_task_data=[{"fruit": "fig"}], function_registry={"describe": echo, "count": echo},
        validate_onboarding=lambda data: data["outputs"]["success"],
    )""",
            "def echo(request_id, args, agent_state):\n    return args\n",
            PROCEDURES,
        ),
        WEBAPP,
    ),
    TaskFiles(
        "chat",
        "parlai_chat",
        "world_file: ${task_dir}/fruit_worlds.py\ncontext_csv: ${task_dir}/data.csv\n"
        "task_description_file: ${task_dir}/description.html\nextra_source_dir: null",
        script(CHAT_STATE, "assert BLUEPRINT_TYPE_PARLAI_CHAT == 'parlai_chat'\n", CHAT),
        {
            "fruit_worlds.py": WORLDS.replace("COUNT", "2"),
            "description.html": "<b>Talk.</b>",
            "data.csv": "topic\nfruits\n",
        },
    ),
    TaskFiles(
        "chat_onboarding",
        "parlai_chat",
        "world_file: ${task_dir}/more_worlds.py\nnum_conversations: 2\nonboarding_qualification: talks",
        script(CHAT_STATE, "", CHAT),
        {"more_worlds.py": WORLDS.replace("COUNT", "1")},
    ),
    TaskFiles(
        "gold",
        "static_react_task",
        f"{REACT}\nuse_golds: true\ngold_qualification_base: fruit-gold\nmin_golds: 1\nmax_gold_units: 4\n"
        "max_incorrect_golds: 1",
        script(
            """SharedStaticTaskState(
        static_task_data=[{"fruit": "fig", "color": "blue"}],
        get_gold_for_worker=get_gold_factory([{"fruit": "kiwi", "color": "green"}]),
        on_unit_submitted=UseGoldUnit.create_validation_function(cfg.mephisto, validate_gold_unit),
    )
    shared_state.qualifications += UseGoldUnit.get_mixin_qualifications(cfg.mephisto, shared_state)""",
            """
def validate_gold_unit(unit: Unit) -> bool:
    return unit.get_assigned_agent().state.get_data()["outputs"]["truth"] == "yes"
""",
            """
from mephisto.abstractions.blueprints.mixins.use_gold_unit import UseGoldUnit, get_gold_factory
from mephisto.data_model.unit import Unit
""",
        ),
        WEBAPP,
    ),
    TaskFiles(
        "form_pages",
        "static_react_task",
        f"{REACT}\ndata_json: ${{task_dir}}/task_data.json",
        script("SharedStaticTaskState()"),
        {
            "task_data.json": '[{"form": {"title": "Fruits", "sections": [{"fields": [{"name": "fruit"}]}]}}]',
            **WEBAPP,
        },
    ),
    TaskFiles(
        "form_upload",
        "static_task",
        "data_jsonl: ${task_dir}/data.jsonl\ntask_source: ${task_dir}/server_files/task.html",
        script("SharedStaticTaskState()"),
        {"data.jsonl": '{"fruit": "fig"}\n', "server_files/task.html": "<p>${fruit}</p><input type=file name=proof>"},
    ),
    TaskFiles(
        "generated",
        "static_react_task",
        REACT,
        script(
            """SharedStaticTaskState(
        static_task_data=items(cfg.num_fruits),
        qualifications=[make_qualification_dict("banned", QUAL_NOT_EXIST, None)],
        worker_can_do_unit=may_work,
        on_unit_submitted=submitted,
    )""",
            """
@dataclass
class FruitConfig(build_default_task_config("task")):
    num_fruits: int = 1


def items(count):
    for number in range(count):
        yield {"fruit": f"fruit {number}"}


def may_work(worker, unit):
    return worker.worker_name != "spammer" and unit.get_assignment_data().shared["fruit"].startswith("fruit")


def submitted(unit):
    assert unit.get_assigned_agent().get_worker().db_id
""",
            """
from dataclasses import dataclass
from mephisto.data_model.qualification import QUAL_NOT_EXIST, make_qualification_dict
from mephisto.operations.hydra_config import build_default_task_config
""",
        ).replace('@task_script(default_config_file="task")', "@task_script(config=FruitConfig)"),
        WEBAPP,
        more="num_fruits: 2\n",
    ),
    TaskFiles(
        "mock",
        "mock",
        "num_assignments: 1\nuse_onboarding: true\ntimeout_time: 60",
        script(
            "MockSharedState(validate_onboarding=lambda data: True)",
            "",
            "from mephisto.abstractions.blueprints.mock.mock_blueprint import MockSharedState\n",
        ),
    ),
    TaskFiles(
        "review",
        "static_task",
        HTML_CSV,
        f"""{HEAD}
from mephisto.abstractions.databases.local_database import LocalMephistoDB
from mephisto.tools.data_browser import DataBrowser
{MAIN}
    operator.launch_task_run(cfg.mephisto, SharedStaticTaskState())
    operator.wait_for_runs_then_shutdown(skip_input=True, log_rate=30)
    db = LocalMephistoDB(cfg.mephisto.database.data_dir)
    browser = DataBrowser(db=db)
    for unit in browser.get_units_for_task_name(cfg.mephisto.task.task_name):
        data = browser.get_data_from_unit(unit)
        worker = db.get_worker(data["worker_id"])
        if data["data"]["outputs"]["truth"] == "yes":
            unit.get_assigned_agent().approve_work()
            worker.bonus_worker(0.05, "quick", unit)
        else:
            unit.get_assigned_agent().soft_reject_work("look again")
        worker.grant_qualification("reviewed", 1)
    db.close()


if __name__ == "__main__":
    main()
""",
        {"data.csv": FRUITS, "server_files/task.html": PAGE},
    ),
)
