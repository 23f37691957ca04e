"""Checks the classes of worlds, and calls the methods of worlds."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import ModuleType

from ....core.errors import ConfigError, UserCodeError

KEY = "mephisto.blueprint.world_file"
#: The remedy for a method or function that is `async`.
PLAIN = "Each world runs in a thread, and its agents block: write def in place of async def, and remove await"
#: Methods that every world has.
REQUIRED = ("parley", "episode_done")
#: Methods that a world may leave out.
OPTIONAL = ("shutdown", "prep_save_data")
_MISSING = {
    "parley": "Define parley(self), which makes one exchange",
    "episode_done": "Define episode_done(self), which returns True at the end; a base class of ParlAI had it",
}


def check_world_classes(module: ModuleType, file: str) -> None:
    """Check that the classes of worlds in a module have the methods that are called, and that none is `async`.

    Args:
        module: the module.
        file: the name of its file, for errors.

    Raises:
        ConfigError: a method is missing or `async`.
    """
    for world in _world_classes(module):
        for name in (*REQUIRED, *OPTIONAL):
            method = getattr(world, name, None)
            if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
                raise ConfigError(f"{world.__name__}.{name} in {file} is async", key=KEY, hint=PLAIN)
            if method is None and name in REQUIRED and not hasattr(world, "__getattr__"):
                raise ConfigError(f"{world.__name__} in {file} has no method {name}", key=KEY, hint=_MISSING[name])


def call_method(world: object, name: str, *args: object) -> object:
    """Call a method of a world.

    Args:
        world: the world.
        name: the method; an optional one that is missing returns None.
        args: its arguments.

    Raises:
        UserCodeError: the method is missing, or `async`.
    """
    method = getattr(world, name, None)
    if method is None and name in OPTIONAL:
        return None
    if not callable(method):
        problem = f"called {type(world).__name__}.{name}, which is missing. {_MISSING.get(name, 'Define it')}"
        raise UserCodeError(name, problem)
    result: object = method(*args)
    if inspect.iscoroutine(result):
        result.close()
    if inspect.isawaitable(result):
        raise UserCodeError(name, f"called {type(world).__name__}.{name}, which is async. {PLAIN}")
    return result


def _world_classes(module: ModuleType) -> Iterator[type]:
    """Yield the classes that a module defines or imports as worlds; of a class and its subclasses, the subclasses."""
    classes = [value for value in vars(module).values() if isinstance(value, type)]
    for one in classes:
        is_extended = any(other is not one and issubclass(other, one) for other in classes)
        if not is_extended and any(callable(getattr(one, name, None)) for name in REQUIRED):
            yield one
