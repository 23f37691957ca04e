"""Finds the line of the task's own code that a failure comes from, as `file.py:line`.

Lines of this package, of Python and of installed packages are passed over: the author of a task wants to know the line
of their own that led there. Folders are left out; they may name people.
"""

from __future__ import annotations

import inspect
import sys
import sysconfig
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import AsyncGeneratorType, CodeType, CoroutineType, FrameType, GeneratorType, TracebackType

from ...errors import leaves

_PACKAGE = Path(__file__).parents[3]
#: Beginnings of the paths of code that is not the task's.
_FOREIGN = (
    *(f"{_PACKAGE / layer}/" for layer in ("events", "core", "projections", "adapters")),
    f"{sysconfig.get_path('stdlib')}/",
    f"{sysconfig.get_path('platstdlib')}/",
    "<",
)
_INSTALLED = ("/site-packages/", "/dist-packages/")


def where_raised(error: BaseException, function: Callable[..., object]) -> str:
    """Return the line of the task's code that an exception comes from, or else where the function is defined.

    Args:
        error: the exception; of a group, the first one that comes from the task's code.
        function: the function that was called.
    """
    errors = leaves(error) if isinstance(error, BaseExceptionGroup) else iter((error,))
    for one in errors:
        places = [_place(code, line) for code, line in _lines_of(one.__traceback__) if _is_the_tasks(code)]
        if places:
            return places[-1]
    return where_defined(function)


def where_thread_stands(thread: int | None) -> str:
    """Return the line of the task's code that a thread is at; empty if it is not in the task's code."""
    return _place_of(_frame_of_thread(thread))


def function_of_thread(thread: int) -> tuple[str, str] | None:
    """Return the function of the task's code that a thread is in, and its line there; None if it is in none."""
    frame = _frame_of_thread(thread)
    return None if frame is None else (frame.f_code.co_qualname, _place_of(frame))


def _frame_of_thread(thread: int | None) -> FrameType | None:
    frame = None if thread is None else sys._current_frames().get(thread)
    while frame is not None and not _is_the_tasks(frame.f_code):
        frame = frame.f_back
    return frame


def where_coroutine_stands(coroutine: object) -> str:
    """Return the innermost line of the task's code that a suspended coroutine is at; empty if there is none."""
    found: FrameType | None = None
    while isinstance(coroutine, CoroutineType):
        frame = coroutine.cr_frame
        if frame is not None and _is_the_tasks(frame.f_code):
            found = frame
        coroutine = coroutine.cr_await
    return _place_of(found)


def where_defined(function: Callable[..., object]) -> str:
    """Return the first line of a function; its name if it is not written in Python.

    Of a function of ours that reads an iterator of the task, or calls a function, it is the first line of that code.
    """
    code = _code_of(plain_function(function))
    if isinstance(function, partial) and function.args and (code is None or not _is_the_tasks(code)):
        inner = function.args[0]
        code = _code_of_iterator(inner) or (_code_of(inner) if inspect.isroutine(inner) else None) or code
    return name_of(function) if code is None else _place(code, code.co_firstlineno)


def _code_of(function: Callable[..., object]) -> CodeType | None:
    method = vars(type(function)).get("__call__")
    code = getattr(inspect.unwrap(function), "__code__", None) or getattr(method, "__code__", None)
    return code if isinstance(code, CodeType) else None


def _code_of_iterator(iterator: object) -> CodeType | None:
    if isinstance(iterator, GeneratorType):
        return iterator.gi_code
    if isinstance(iterator, AsyncGeneratorType):
        return iterator.ag_code
    kind = vars(type(iterator))
    code = getattr(kind.get("__next__") or kind.get("__anext__"), "__code__", None)
    return code if isinstance(code, CodeType) else None


def plain_function(function: Callable[..., object]) -> Callable[..., object]:
    """Return a function without the arguments that were bound to it."""
    while isinstance(function, partial):
        function = function.func
    return function


def name_of(function: Callable[..., object]) -> str:
    """Return the name of a function as it is defined."""
    function = plain_function(function)
    return getattr(function, "__qualname__", type(function).__name__)


def _lines_of(traceback: TracebackType | None) -> Iterator[tuple[CodeType, int]]:
    while traceback is not None:
        yield traceback.tb_frame.f_code, traceback.tb_lineno
        traceback = traceback.tb_next


def _is_the_tasks(code: CodeType) -> bool:
    path = code.co_filename
    return not path.startswith(_FOREIGN) and not any(part in path for part in _INSTALLED)


def _place_of(frame: FrameType | None) -> str:
    return "" if frame is None else _place(frame.f_code, frame.f_lineno)


def _place(code: CodeType, line: int) -> str:
    return f"{Path(code.co_filename).name}:{line}"
