"""Reads the workers' answers from a Python file of the user, whose failures are reported and stop nothing."""

from __future__ import annotations

import runpy
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from ...core.abstractions.callbacks import check_callback
from ...core.errors import ConfigError, UserCodeError
from ...core.operations.task_code.calls import call_nowait
from ...core.operations.task_code.code_location import where_raised
from ..crowd.bot import Answer, Reply, succeed

ANSWERS_KEY = "--answers"
#: The functions of an answers file: their parameters.
_FUNCTIONS = {
    "answer": ("unit_data", "rng"),
    "answer_onboarding": ("onboarding_data", "rng"),
    "reply": ("update", "rng"),
}


class AnswersFile:
    """The functions of an answers file.

    Attributes:
        failures: how often a function raised, by a sentence that names it and its line.
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
        return lambda data, rng: self._call("answer", data, rng)

    @property
    def answer_onboarding(self) -> Answer | None:
        """The answer to the onboarding; None if the file has none."""
        if "answer_onboarding" not in self._functions:
            return None
        return lambda data, rng: self._call("answer_onboarding", data, rng) or succeed(data, rng)

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
