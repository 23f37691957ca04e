"""Lists what becomes of the names that Mephisto's scripts use."""

from __future__ import annotations

from importlib import import_module
from inspect import get_annotations, isclass
from typing import NamedTuple

from ... import FORMER_NAMES
from ... import __all__ as public_names

PUBLIC_NAMES = frozenset(public_names)
#: Names that are the same thing under another name here.
RENAMED = {
    "AssignmentState": "UnitStatus",
    "EntryDoesNotExistException": "UnknownEntityError",
    "MephistoSingletonDB": "LocalMephistoDB",
    "RunScriptConfig": "TaskConfig",
    "build_and_return_custom_bundle": "build_custom_bundle",
    "StaticHTMLBlueprint": "StaticTaskBlueprint",
    "StaticHTMLBlueprintArgs": "StaticTaskBlueprintArgs",
    "StaticBlueprintArgs": "StaticTaskBlueprintArgs",
}
#: Names that are answered as others are.
_SAME_REMEDY = {"examples": "building_react_apps"}
#: Constants of Mephisto, whose values are the names of plugins.
CONSTANTS = {
    "BLUEPRINT_TYPE_MOCK": "mock",
    "BLUEPRINT_TYPE_PARLAI_CHAT": "parlai_chat",
    "BLUEPRINT_TYPE_REMOTE_PROCEDURE": "remote_procedure",
    "BLUEPRINT_TYPE_STATIC_HTML": "static_task",
    "BLUEPRINT_TYPE_STATIC_REACT": "static_react_task",
}
#: The name `BLUEPRINT_TYPE`, which several modules have, by a part of the module's name.
BLUEPRINT_TYPES = {
    "mock": "mock",
    "parlai_chat": "parlai_chat",
    "remote_procedure": "remote_procedure",
    "static_html": "static_task",
    "static_react": "static_react_task",
}
#: Classes of Mephisto's data model that read an entity by its id.
VIEWED = frozenset(
    {"Agent", "Assignment", "OnboardingAgent", "Project", "Requester", "Task", "TaskRun", "Unit", "Worker"}
)
#: What to do about an import of ParlAI.
WITHOUT_PARLAI = (
    "worlds need no ParlAI here: remove it, its base classes, and write act in place of validate(act); the base "
    "classes supplied self.agent or self.agents, which __init__ has to set, and episode_done, which a world has to "
    "define; shutdown and prep_save_data may be left out"
)
#: Ends of the names of classes whose constructors get the run in Mephisto, and the name of that argument.
CONSTRUCTED = ("Blueprint", "TaskRunner")
RUN_ARGUMENT = "task_run"
#: Methods that have to be awaited, whatever they are called on.
AWAITED_METHODS = frozenset(
    {
        *("launch_task_run", "launch_task_run_or_die", "wait_for_runs_then_shutdown", "force_shutdown"),
        *("validate_and_run_config", "validate_and_run_config_or_die"),
        *("observe", "get_live_update", "await_submit"),
    }
)
#: Methods of those that block in a world, which runs in a thread.
BLOCKING_IN_WORLDS = frozenset({"observe", "get_live_update", "await_submit"})
#: Functions of a file of worlds.
WORLD_FUNCTIONS = frozenset({"get_world_params", "make_onboarding_world", "make_world"})
#: Methods that only worlds have.
WORLD_METHODS = frozenset({"episode_done", "parley"})
#: Methods that have to be awaited on an operator; other objects have such names too.
AWAITED_OF_OPERATOR = frozenset({"shutdown"})
#: Functions that have to be awaited.
AWAITED_FUNCTIONS = frozenset({"build_custom_bundle", "build_and_return_custom_bundle"})
#: Methods under other names here.
RENAMED_METHODS = {
    "validate_and_run_config": "launch_task_run",
    "validate_and_run_config_or_die": "launch_task_run_or_die",
}
_FOLLOWS = "remove it: a status follows from what happened"
_INTERNAL = "remove it: an internal step, which the operator takes"
_IN_LOG = "remove it: the log holds what it would set"
#: Methods and functions that have no counterpart, with what to do instead.
WITHOUT_COUNTERPART = {
    "associate_agent_with_registration": _INTERNAL,
    "get_valid_units_for_worker": "use TaskRunner.filter_units_for_worker, or SharedTaskState.worker_can_do_unit",
    "loop_wrap": "remove it: there is no loop to wrap",
    "mark_done": _FOLLOWS,
    "process_config_and_get_operator": "write: async with process_config_and_get_operator(cfg) as (operator, cfg):",
    "push_status_update": _INTERNAL,
    "reserve_unit": "remove it: a unit is assigned in one step",
    "set_db_status": _FOLLOWS,
    "sync_status": _FOLLOWS,
    "update_agent": _FOLLOWS,
    "update_onboarding_agent": _FOLLOWS,
    "update_status": _FOLLOWS,
    "update_task_run": _FOLLOWS,
    "update_unit": _FOLLOWS,
}
#: Methods that have no counterpart on what a variable of a name stands for; other objects have such methods too.
WITHOUT_COUNTERPART_ON = {
    ("state", "save_data"): _IN_LOG,
    ("state", "set_init_state"): _IN_LOG,
    ("state", "update_data"): _IN_LOG,
    ("state", "update_submit"): _IN_LOG,
    ("unit", "expire"): "use live_run.task_launcher.expire_units(...)",
    ("unit", "launch"): "remove it: a run's launcher offers its units",
}
#: Attributes of a class of one's own that have no counterpart.
CLASS_ATTRIBUTES = dict.fromkeys(
    ("AgentClass", "RequesterClass", "UnitClass", "WorkerClass"),
    "remove it: there is one data model for all providers, and what they do differently is in the provider",
)
#: Classes of what scripts call by a name, to find methods that none of them has.
STANDS_FOR = {
    "agent": ("Agent", "AgentView", "MephistoAgentWrapper", "OnboardingAgent", "OnboardingAgentView", "PlainAgent"),
    "assignment": ("Assignment", "AssignmentView"),
    "db": ("LocalMephistoDB", "MephistoDB"),
    "operator": ("Operator", "PlainOperator"),
    "task_run": ("TaskRunView",),
    "unit": ("Unit", "UnitView"),
    "worker": ("WorkerView",),
}


class NewName(NamedTuple):
    """An imported name after the port."""

    #: The name to import; None if there is nothing to import.
    public: str | None
    #: The value of a constant to define instead.
    constant: str | None = None
    #: What to write instead, if it cannot be changed.
    remedy: str | None = None


def new_name(module: str, name: str) -> NewName:
    """Return what becomes of a name that a script imports from Mephisto.

    Args:
        module: the module of Mephisto.
        name: the name.
    """
    if name in PUBLIC_NAMES:
        return NewName(name)
    if name in RENAMED:
        return NewName(RENAMED[name])
    if name in CONSTANTS:
        return NewName(None, CONSTANTS[name])
    if name == "BLUEPRINT_TYPE":
        known = next((value for part, value in BLUEPRINT_TYPES.items() if part in module), None)
        return NewName(None, known, None if known else "write the name of the blueprint")
    if f"{name}View" in PUBLIC_NAMES:
        return NewName(f"{name}View")
    remedies = {name: FORMER_NAMES[former] for name, former in _SAME_REMEDY.items()} | FORMER_NAMES
    return NewName(None, remedy=remedies.get(name, "nothing of that name is here; see docs/mephisto.md"))


def view_of(name: str) -> str | None:
    """Return the name of the class that reads entities of a kind, if task code has another one; None if not."""
    return f"{name}View" if name in PUBLIC_NAMES and f"{name}View" in PUBLIC_NAMES else None


def has_attribute(public: str, name: str) -> bool:
    """Return whether a public class has an attribute; True for what is no class."""
    one: object = getattr(import_module("...", __package__), public)
    return not isclass(one) or hasattr(one, name) or any(name in get_annotations(base) for base in one.__mro__)
