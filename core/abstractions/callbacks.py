"""Checks that the callbacks of a launch script can be called at all, before a worker meets one that cannot."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_PARAMETERS = "called_with"


def called_with(*parameters: str) -> dict[str, tuple[str, ...]]:
    """Return the metadata of a field that holds a callback, or a mapping of callbacks.

    Args:
        parameters: the names of what it is called with, in their order.
    """
    return {_PARAMETERS: parameters}


def check_callbacks(shared_state: DataclassInstance) -> None:
    """Check the callbacks that a launch script passes, by the metadata of their fields; None stands for no callback.

    Raises:
        ConfigError: one is not a function, or takes another number of parameters than it is called with.
    """
    for known in fields(shared_state):
        parameters = known.metadata.get(_PARAMETERS)
        value = getattr(shared_state, known.name)
        if parameters is None or value is None:
            continue
        callbacks = value.items() if isinstance(value, Mapping) else [(known.name, value)]
        for name, callback in callbacks:
            check_callback(str(name), callback, parameters)


def check_callback(name: str, callback: object, parameters: tuple[str, ...]) -> None:
    """Check that an object can be called with so many positional arguments.

    Args:
        name: its name for the launch script.
        callback: the object.
        parameters: the names of the arguments.

    Raises:
        ConfigError: it cannot; names the function, and where it is defined.
    """
    wanted = f"{name}({', '.join(parameters)})"
    if not callable(callback):
        raise ConfigError(f"{name} is a {type(callback).__name__}, not a function", key=name, hint=f"Pass {wanted}")
    try:
        signature = inspect.signature(callback)
    except (TypeError, ValueError):  # of some functions written in C, nobody knows
        return
    try:
        signature.bind(*parameters)
    except TypeError as error:
        raise ConfigError(
            f"{name} is called with {_counted(len(parameters))}, "
            f"which {_described(callback)}{signature} does not accept",
            key=name,
            hint=f"Define it as {wanted}",
        ) from error


def _counted(number: int) -> str:
    return f"{number} argument" if number == 1 else f"{number} arguments"


def _described(callback: Callable[..., object]) -> str:
    """Return the name of a function, and where it is defined."""
    name = getattr(callback, "__qualname__", type(callback).__name__)
    code = getattr(inspect.unwrap(callback), "__code__", None)
    return f"{Path(code.co_filename).name}:{code.co_firstlineno} {name}" if code is not None else name
