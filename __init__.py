"""Crowdsourced data collection on an event log.

The public names: launch scripts, plugins and notebooks import them from here, and from nowhere deeper. (Contract
suites for plugins, which need pytest, are in `mephisto_es.contracts`.) `__init__.pyi` lists them. Each name is imported
when it is first used, so a program that needs one of them loads no more than that one needs.
"""

from __future__ import annotations

import lazy_loader

#: Names of Mephisto that do not exist here, with what to write instead.
FORMER_NAMES = {
    "BlueprintMixin": "Blueprint: a mixin of your own extends it",
    "ConsoleWriter": "get_logger(__name__), whose methods are debug, info, warning and error",
    "EntryDoesNotExistException": "UnknownEntityError",
    "MephistoDBException": "LogError",
    "Packet": "agent.observe({...}) and agent.get_live_update(), which take and give plain dicts",
    "PACKET_TYPE_AGENT_ACTION": "agent.observe({...}), which takes a plain dict",
    "PACKET_TYPE_UPDATE_AGENT_STATUS": "nothing: statuses follow from events, and pages are told of them",
    "RunScriptConfig": "TaskConfig, or build_default_task_config(NAME) to start from conf/NAME.yaml",
    "StaticHTMLBlueprint": "StaticTaskBlueprint, with an HTML file as task_source",
    "StaticHTMLBlueprintArgs": "StaticTaskBlueprintArgs",
    "StaticReactTaskBuilder": "build_custom_bundle",
    "TaskBuilder": "Blueprint.build_page, or build_custom_bundle for a page that npm builds",
    "building_react_apps": "build_custom_bundle(task_dir, ...) for each webapp",
    "create_extrapolated_config": "a form in the settings of static_task",
    "get_root_dir": "pathlib.Path",
    "validate_and_run_config": "operator.launch_task_run(cfg.mephisto, shared_state)",
}

_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    """Import a public name when it is first used.

    Raises:
        ImportError: the name is one of Mephisto's that has no counterpart; the message says what to write. An
            `AttributeError` would be replaced by Python's own sentence in a `from ... import`.
        AttributeError: there is no such name.
    """
    if name in FORMER_NAMES:
        raise ImportError(f"{name!r} is a name of Mephisto. Here it is {FORMER_NAMES[name]}", name=__name__)
    return _load(name)
