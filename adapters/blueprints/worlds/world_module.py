"""Loads the Python file that defines a task's worlds, and makes worlds from it."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import cast

from ....core.errors import ConfigError
from .world_agents import MephistoAgentWrapper, World
from .world_classes import KEY, PLAIN, check_world_classes

HINT = "It defines make_world(opt, agents) and get_world_params(), which returns {'agent_count': 2}"
WITHOUT_PARLAI = (
    "Worlds need no ParlAI here: remove its imports and base classes, and write act in place of validate(act); "
    "messages are dicts. The base classes supplied self.agent or self.agents, which __init__ has to set, and "
    "episode_done, which a world has to define; shutdown and prep_save_data may be left out"
)

_loaded: dict[Path, ModuleType] = {}


def load_world_module(world_file: str) -> ModuleType:
    """Import a world file, once in this process; its folder is searched for what it imports.

    Raises:
        ConfigError: there is no such file, or it cannot be imported.
    """
    path = Path(world_file).expanduser().resolve()
    if path in _loaded:
        return _loaded[path]
    if not path.is_file():
        raise ConfigError(f"there is no file {path}", key=KEY, hint=HINT)
    name = f"mephisto_es_world_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is not a Python file", key=KEY, hint=HINT)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        is_parlai = (error.name or "").partition(".")[0] == "parlai"
        hint = WITHOUT_PARLAI if is_parlai else f"Install what {path.name} imports"
        raise ConfigError(f"{path} cannot be imported: {error}", key=KEY, hint=hint) from error
    except Exception as error:
        raise ConfigError(f"{path} cannot be imported: {type(error).__name__}: {error}", key=KEY) from error
    _loaded[path] = module
    return module


class WorldMaker:
    """The functions of a world file.

    Attributes:
        agent_count: the number of workers in a world.
        validate_onboarding: decides about an onboarding; None if the file leaves that to the launch script.
    """

    def __init__(self, module: ModuleType) -> None:
        """Check that the functions are there.

        Raises:
            ConfigError: one is missing, or the number of workers is not one.
        """
        self._module = module
        params = self._function("get_world_params")()
        count = params.get("agent_count") if isinstance(params, dict) else None
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise ConfigError(f"get_world_params() of {self._name} returns no agent_count", key=KEY, hint=HINT)
        self._function("make_world")
        for name in ("make_onboarding_world", "validate_onboarding"):
            if callable(getattr(module, name, None)):
                self._function(name)
        check_world_classes(module, self._name)
        self.agent_count = count
        validate = getattr(module, "validate_onboarding", None)
        self.validate_onboarding: Callable[[object], bool] | None = validate if callable(validate) else None

    @property
    def _name(self) -> str:
        return Path(self._module.__file__ or self._module.__name__).name

    def check_onboarding(self) -> None:
        """Check that there is a world for onboardings.

        Raises:
            ConfigError: there is none.
        """
        self._function("make_onboarding_world")

    def make_world(self, opt: object, agents: Sequence[MephistoAgentWrapper], data: object) -> World:
        """Make the world of an assignment.

        Args:
            opt: the options that the launch script passed.
            agents: the workers.
            data: the assignment's data, for a function that has a parameter `initialization_data`.
        """
        return self._make("make_world", opt, list(agents), data)

    def make_onboarding_world(self, opt: object, agent: MephistoAgentWrapper, data: object) -> World:
        """Make the world of an onboarding; as `make_world`."""
        return self._make("make_onboarding_world", opt, agent, data)

    def _make(self, name: str, opt: object, agents: object, data: object) -> World:
        function = self._function(name)
        takes_data = "initialization_data" in inspect.signature(function).parameters
        return cast("World", function(opt, agents, initialization_data=data) if takes_data else function(opt, agents))

    def _function(self, name: str) -> Callable[..., object]:
        function = getattr(self._module, name, None)
        if not callable(function):
            raise ConfigError(f"{self._name} has no function {name}", key=KEY, hint=HINT)
        if inspect.iscoroutinefunction(function):
            raise ConfigError(f"{name} in {self._name} is async", key=KEY, hint=PLAIN)
        return cast("Callable[..., object]", function)
