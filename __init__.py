"""Crowdsourced data collection on an event log.

The names that launch scripts and plugins use are handed on from here; each is imported when it is first asked for, so
that whoever needs only the events loads nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .adapters.composition.operator import open_operator, task_script
    from .core.abstractions.agent import Agent, Assignment, InitializationData, OnboardingAgent, Unit
    from .core.abstractions.architect import Architect, ArchitectContext
    from .core.abstractions.blueprint import Blueprint, SharedTaskState
    from .core.abstractions.crowd_provider import CrowdProvider
    from .core.abstractions.qualifications import make_qualification_dict
    from .core.abstractions.task_runner import TaskRunner
    from .core.errors import MephistoError
    from .core.operations.hydra_config import TaskConfig, build_default_task_config
    from .core.operations.operator import Operator
    from .core.operations.registry import register_mephisto_abstraction
    from .projections.mephisto_db import MephistoDB
    from .projections.queries.data_browser import DataBrowser

_HOMES = {
    "Agent": "core.abstractions.agent",
    "Architect": "core.abstractions.architect",
    "ArchitectContext": "core.abstractions.architect",
    "Assignment": "core.abstractions.agent",
    "Blueprint": "core.abstractions.blueprint",
    "CrowdProvider": "core.abstractions.crowd_provider",
    "DataBrowser": "projections.queries.data_browser",
    "InitializationData": "core.abstractions.agent",
    "MephistoDB": "projections.mephisto_db",
    "MephistoError": "core.errors",
    "OnboardingAgent": "core.abstractions.agent",
    "Operator": "core.operations.operator",
    "SharedTaskState": "core.abstractions.blueprint",
    "TaskConfig": "core.operations.hydra_config",
    "TaskRunner": "core.abstractions.task_runner",
    "Unit": "core.abstractions.agent",
    "build_default_task_config": "core.operations.hydra_config",
    "make_qualification_dict": "core.abstractions.qualifications",
    "open_operator": "adapters.composition.operator",
    "register_mephisto_abstraction": "core.operations.registry",
    "task_script": "adapters.composition.operator",
}

__all__ = [
    "Agent",
    "Architect",
    "ArchitectContext",
    "Assignment",
    "Blueprint",
    "CrowdProvider",
    "DataBrowser",
    "InitializationData",
    "MephistoDB",
    "MephistoError",
    "OnboardingAgent",
    "Operator",
    "SharedTaskState",
    "TaskConfig",
    "TaskRunner",
    "Unit",
    "build_default_task_config",
    "make_qualification_dict",
    "open_operator",
    "register_mephisto_abstraction",
    "task_script",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"mephisto_es has no {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
