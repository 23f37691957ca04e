"""Declares the functions of a task: their arguments, checked before a worker meets them, and what they may return.

A value of numpy or pandas counts as the plain value that it stands for. Any other value that is not declared is a
failure of the function, and no answer.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar, cast

import msgspec

from ..errors import ConfigError
from .crowd.visits import VisitRefusedError, VisitTerms
from .work.handles import Unit
from .work_data import Update, to_plain

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_PARAMETERS = "called_with"


_QUICK = "is_quick"

F = TypeVar("F", bound=Callable[..., object])


def quick(function: F) -> F:
    """Mark a function of ours that neither waits nor takes time, so that it needs no thread."""
    setattr(function, _QUICK, True)
    return function


def is_quick(function: Callable[..., object]) -> bool:
    """Return whether a function is marked as quick; one that overrides it is not."""
    return bool(getattr(function, _QUICK, False))


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


T = TypeVar("T", covariant=True)

#: Reads what a function returned; takes the value, and the maximum size of a JSON object in bytes.
ReadAnswer = Callable[[object, int], T]
#: Names of the types by which numpy and pandas call their truth values.
_BOOL_TYPES = ("bool", "bool_")


class UnusableAnswerError(Exception):
    """A function returned something that it may not return; the text, if any, says more than the type, but no value."""


class Callback(NamedTuple, Generic[T]):
    """One function of a task, and what it may return."""

    #: The name that launch scripts and task runners give it.
    name: str
    #: The values that it may return, in words.
    expected: str
    #: Raises `UnusableAnswerError` for any other value.
    read: ReadAnswer[T]
    #: True if it runs with agents, and may let the errors through that they raise.
    is_task_code: bool = False


def _yes_or_no(value: object, _: int) -> bool:
    if isinstance(value, bool):
        return value
    if type(value).__name__ in _BOOL_TYPES:
        return bool(value)
    raise UnusableAnswerError


def _yes_no_or_nothing(value: object, max_bytes: int) -> bool | None:
    return None if value is None else _yes_or_no(value, max_bytes)


def _json_object(value: object, max_bytes: int) -> Update:
    """Read a JSON object, with plain values in place of numpy's."""
    if not isinstance(value, dict):
        raise UnusableAnswerError
    try:
        body = msgspec.json.encode(value, enc_hook=to_plain)
        plain = msgspec.json.decode(body, type=Update)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise UnusableAnswerError("with a value that JSON cannot hold") from error
    if len(body) > max_bytes:
        raise UnusableAnswerError(f"of {len(body):,} bytes as JSON (mephisto.task.max_item_bytes is {max_bytes:,})")
    return plain


def _json_object_or_nothing(value: object, max_bytes: int) -> Update | None:
    return None if value is None else _json_object(value, max_bytes)


def _json_text(value: object, max_bytes: int) -> str:
    """Read any value that JSON can hold, as the text of it."""
    try:
        body = msgspec.json.encode(value, enc_hook=to_plain)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise UnusableAnswerError from error
    if len(body) > max_bytes:
        raise UnusableAnswerError(f"of {len(body):,} bytes as JSON (mephisto.task.max_item_bytes is {max_bytes:,})")
    return body.decode()


def _texts(value: object, _: int) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(text, str) for text in value):
        raise UnusableAnswerError
    return tuple(value)


def _text_or_nothing(value: object, _: int) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise UnusableAnswerError


def _terms(value: object, _: int) -> VisitTerms | VisitRefusedError:
    if isinstance(value, VisitTerms | VisitRefusedError):
        return value
    raise UnusableAnswerError


def _units(value: object, _: int) -> list[Unit]:
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(unit, Unit) for unit in value):
        raise UnusableAnswerError
    return list(cast("Sequence[Unit]", value))


def _ignored(_value: object, _: int) -> None:
    return None


def _task_code(name: str) -> Callback[None]:
    return Callback(name, "anything; it is ignored", _ignored, is_task_code=True)


VALIDATE_ONBOARDING = Callback("validate_onboarding", "True or False", _yes_or_no)
WORKER_CAN_DO_UNIT = Callback("worker_can_do_unit", "True or False", _yes_or_no)
FILTER_UNITS = Callback("filter_units_for_worker", "a sequence of the units", _units)
ON_UNIT_SUBMITTED = Callback("on_unit_submitted", "True, False or None", _yes_no_or_nothing)
#: The same function, called for a unit that evaluates its worker.
ON_EVALUATION_SUBMITTED = Callback(
    ON_UNIT_SUBMITTED.name, "True or False, because the unit evaluates its worker", _yes_or_no
)
SCREENING_DATA = Callback("screening_data_factory", "a JSON object", _json_object)
GET_GOLD = Callback("get_gold_for_worker", "a JSON object or None", _json_object_or_nothing)
WORKER_QUALIFIES = Callback("worker_qualifies", "True or False", _yes_or_no)
WORKER_NEEDS_GOLD = Callback("worker_needs_gold", "True or False", _yes_or_no)
INIT_DATA_FOR_AGENT = Callback("get_init_data_for_agent", "a JSON object", _json_object)
INIT_DATA_FOR_ONBOARDING = Callback("get_init_data_for_onboarding", "a JSON object", _json_object)
RUN_UNIT = _task_code("run_unit")
RUN_ASSIGNMENT = _task_code("run_assignment")
RUN_ONBOARDING = _task_code("run_onboarding")
CLEANUP_UNIT = _task_code("cleanup_unit")
CLEANUP_ASSIGNMENT = _task_code("cleanup_assignment")
CLEANUP_ONBOARDING = _task_code("cleanup_onboarding")

#: Finds what is wrong with submitted work.
CHECK_SUBMISSION = Callback("check_submission", "a sequence of texts", _texts)
#: Lets a page in, or refuses it by raising `VisitRefusedError`.
VISIT_TERMS = Callback("visit_terms", "a VisitTerms", _terms)
COMPLETION_CODE = Callback("completion_code", "a text or None", _text_or_nothing)


def remote_procedure(name: str) -> Callback[str]:
    """Return the declaration of a function that pages may call; its answer is read as JSON text."""
    return Callback(f'function_registry["{name}"]', "a value that JSON can hold", _json_text, is_task_code=True)


#: Every function of a task, a blueprint or a provider whose answers are read while people work. Those that pages call
#: are declared by `remote_procedure`.
CALLBACKS: tuple[Callback[object], ...] = (
    VALIDATE_ONBOARDING,
    WORKER_CAN_DO_UNIT,
    FILTER_UNITS,
    ON_UNIT_SUBMITTED,
    ON_EVALUATION_SUBMITTED,
    SCREENING_DATA,
    GET_GOLD,
    WORKER_QUALIFIES,
    WORKER_NEEDS_GOLD,
    INIT_DATA_FOR_AGENT,
    INIT_DATA_FOR_ONBOARDING,
    RUN_UNIT,
    RUN_ASSIGNMENT,
    RUN_ONBOARDING,
    CLEANUP_UNIT,
    CLEANUP_ASSIGNMENT,
    CLEANUP_ONBOARDING,
    CHECK_SUBMISSION,
    VISIT_TERMS,
    COMPLETION_CODE,
)
