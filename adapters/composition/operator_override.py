"""Lets a program that runs a launch script choose the operator and the data folder in place of the script."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from ...core.operations.operator import Operator

#: Makes an operator from the arguments of `Operator`.
OperatorFactory = Callable[..., Operator]


@dataclass(frozen=True)
class OperatorOverride:
    """The operator and the folder that `open_operator` uses, whatever it is asked for."""

    data_dir: Path
    make_operator: OperatorFactory


_override: ContextVar[OperatorOverride | None] = ContextVar("operator_override", default=None)


def operator_override() -> OperatorOverride | None:
    """Return the override in force; None if scripts get what they ask for."""
    return _override.get()


@contextmanager
def overriding_operators(override: OperatorOverride) -> Iterator[None]:
    """Put an override in force for a block."""
    token = _override.set(override)
    try:
        yield
    finally:
        _override.reset(token)
