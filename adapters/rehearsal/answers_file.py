"""Reads the workers' answers from a Python file of the user, whose failures are reported and stop nothing."""

from __future__ import annotations

import mimetypes
import runpy
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from ...core.abstractions.callbacks import check_callback
from ...core.abstractions.work_data import to_plain
from ...core.errors import ConfigError, UserCodeError
from ...core.operations.task_code.calls import call_nowait
from ...core.operations.task_code.code_location import where_raised
from ..crowd.bot import Answer, BotFile, Reply, succeed

ANSWERS_KEY = "--answers"
#: The functions of an answers file: their parameters.
_FUNCTIONS = {
    "answer": ("unit_data", "rng"),
    "answer_onboarding": ("onboarding_data", "rng"),
    "reply": ("update", "rng"),
}


class AnswersFile:
    """The functions of an answers file. Work may have files: a `BotFile`, or the path of one on this machine.

    Attributes:
        failures: how often a function failed, by a sentence that names it and its line.
    """

    def __init__(self, file: Path) -> None:
        """Read a file.

        Raises:
            ConfigError: it cannot be run, has no `answer`, or a function takes other parameters.
        """
        self.failures: Counter[str] = Counter()
        self._file = file
        self._functions = _read(file)

    @property
    def answer(self) -> Answer:
        """The answer to a unit; None if the function failed, so that nothing is submitted."""
        return lambda data, rng: self._answer("answer", data, rng)

    @property
    def answer_onboarding(self) -> Answer | None:
        """The answer to the onboarding; None if the file has none."""
        if "answer_onboarding" not in self._functions:
            return None
        return lambda data, rng: self._answer("answer_onboarding", data, rng) or succeed(data, rng)

    @property
    def reply(self) -> Reply | None:
        """The reply to an update; None if the file has none."""
        if "reply" not in self._functions:
            return None
        return lambda update, rng: _object(self._call("reply", update, rng))

    def _call(self, name: str, value: Any, rng: Random) -> object:
        function = self._functions[name]
        try:
            return call_nowait(function, value, rng)
        except UserCodeError as error:
            cause = error.__cause__ or error
            self.failures[f"{name} raised {type(cause).__name__} at {where_raised(cause, function)}"] += 1
            return None

    def _answer(self, name: str, value: Any, rng: Random) -> object:
        """Call a function that returns work; what cannot be submitted counts as a failure."""
        work = self._call(name, value, rng)
        try:
            return _submittable(work, self._file.parent)
        except OSError as error:
            self.failures[f"{name} returned a file that cannot be read: {error.filename} ({type(error).__name__})"] += 1
        except (TypeError, ValueError, OverflowError, RecursionError):
            self.failures[f"{name} returned {type(work).__name__} with a value that JSON cannot hold"] += 1
        return None


def _submittable(work: object, folder: Path) -> object:
    """Return work with plain values, and with files in place of paths.

    Args:
        work: what a function returned.
        folder: where relative paths begin.

    Raises:
        OSError: a file cannot be read.
        TypeError, ValueError, OverflowError, RecursionError: JSON cannot hold a value.
    """
    if isinstance(work, BotFile):
        return work
    if isinstance(work, Path):
        path = folder / work.expanduser()
        media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        return BotFile(path.name, path.read_bytes(), media_type)
    if isinstance(work, dict):
        return {str(field): _submittable(value, folder) for field, value in work.items()}
    if isinstance(work, list | tuple):
        return [_submittable(value, folder) for value in work]
    plain: object = msgspec.json.decode(msgspec.json.encode(work, enc_hook=to_plain))
    return plain


def _object(value: object) -> dict[str, object] | None:
    return value if isinstance(value, dict) else None


def _read(file: Path) -> dict[str, Callable[[Any, Random], object]]:
    if not file.is_file():
        raise ConfigError(
            f"there is no file {file}", key=ANSWERS_KEY, hint="Name a Python file with an answer function"
        )
    try:
        names = call_nowait(runpy.run_path, str(file))
    except (UserCodeError, SystemExit) as error:
        raise ConfigError(f"{file} cannot be run: {error}", key=ANSWERS_KEY) from error
    found = {name: names[name] for name in _FUNCTIONS if name in names}
    if "answer" not in found:
        raise ConfigError(
            f"{file} has no function answer",
            key=ANSWERS_KEY,
            hint="Define answer(unit_data, rng), which returns the work",
        )
    for name, function in found.items():
        check_callback(name, function, _FUNCTIONS[name])
    return found
