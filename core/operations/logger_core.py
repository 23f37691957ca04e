"""Log lines with the ids of what they are about: for people on a terminal, or as JSON for machines.

The lines go to standard error by way of structlog alone. Python's own `logging` takes no part, so whoever configures
that (Hydra does, for each job) can neither swallow nor duplicate them. Standard error is looked up for each line, so
a progress bar that takes it over keeps the lines above the bar.

    logger = get_logger(__name__)
    with log_ids(run=1, agent=12, worker=7):
        logger.info("submitted", unit=40)      # ... run=1 agent=12 worker=7 unit=40
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import MutableMapping
from enum import Enum
from typing import cast

import structlog
from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.typing import FilteringBoundLogger

from ..errors import ConfigError
from ..redaction import redacted
from ..suggestions import did_you_mean

LOG_FORMAT_VARIABLE = "MEPHISTO_LOG_FORMAT"
LOG_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}
#: `warn_once` forgets nothing up to here; further messages are logged each time.
MAX_REMEMBERED_WARNINGS = 1000

_EventDict = MutableMapping[str, object]


class LogFormat(Enum):
    """How a line looks."""

    CONSOLE = "console"
    JSON = "json"


class _Output:
    """What all loggers have in common, and may change while they are in use."""

    def __init__(self) -> None:
        self.threshold = logging.INFO
        self.format = LogFormat.CONSOLE
        self.warned: set[str] = set()


_output = _Output()


def get_logger(name: str) -> FilteringBoundLogger:
    """A logger for one module or one entity; `.bind(agent=12)` gives one that puts the id on each of its lines.

    Args:
        name: stands on each line as `logger`; usually `__name__`.
    """
    logger = structlog.wrap_logger(
        _StandardError(),
        processors=[
            _drop_below_threshold,
            merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _hide_secrets,
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        context_class=dict,
    )
    return cast(FilteringBoundLogger, logger.bind(logger=name))


def log_ids(**ids: int | str) -> contextlib.AbstractContextManager[None]:
    """Put ids (`run=1, agent=12, worker=7`) on each line that the block logs, and the tasks started within it."""
    return bound_contextvars(**ids)


def set_mephisto_log_level(verbose: bool | None = None, level: str | None = None) -> None:
    """Say from which level on lines are written, for all loggers, also those in use.

    Args:
        verbose: True is level debug, False is level info.
        level: the name of a level; goes before `verbose`.

    Raises:
        ConfigError: neither is given, or there is no such level.
    """
    if level is None:
        if verbose is None:
            raise ConfigError("a log level needs verbose or level", key="mephisto.log_level")
        level = "debug" if verbose else "info"
    _output.threshold = log_level(level)


def log_level(name: str) -> int:
    """The number of a level.

    Raises:
        ConfigError: there is no level of that name.
    """
    number = LOG_LEVELS.get(name.lower())
    if number is None:
        raise ConfigError(
            f"there is no log level {name!r}", key="mephisto.log_level", hint=did_you_mean(name.lower(), LOG_LEVELS)
        )
    return number


def set_mephisto_log_format(wanted: LogFormat | None = None) -> None:
    """Say how lines look, for all loggers, also those in use.

    Args:
        wanted: None: as the environment variable `MEPHISTO_LOG_FORMAT` says (`console` or `json`), else for people.

    Raises:
        ConfigError: the variable has another value.
    """
    if wanted is None:
        named = os.environ.get(LOG_FORMAT_VARIABLE) or LogFormat.CONSOLE.value
        formats = {known.value: known for known in LogFormat}
        if named not in formats:
            raise ConfigError(
                f"{LOG_FORMAT_VARIABLE} is {named!r}", key=LOG_FORMAT_VARIABLE, hint=did_you_mean(named, formats)
            )
        wanted = formats[named]
    _output.format = wanted


def mephisto_log_format() -> LogFormat:
    """Return the format that log lines are written in."""
    return _output.format


def warn_once(message: str, **fields: object) -> None:
    """Log a warning the first time that this process has this message to say."""
    if message in _output.warned:
        return
    if len(_output.warned) < MAX_REMEMBERED_WARNINGS:
        _output.warned.add(message)
    get_logger("mephisto_es").warning(message, **fields)


class _StandardError:
    """Where structlog leaves a finished line: one method for each level's name."""

    def msg(self, line: str) -> None:
        # A full disk or a closed terminal behind the log must not stop a run.
        with contextlib.suppress(OSError):
            sys.stderr.write(line + "\n")

    debug = info = warning = error = critical = msg


def _drop_below_threshold(_logger: object, method: str, event: _EventDict) -> _EventDict:
    if LOG_LEVELS[method] < _output.threshold:
        raise structlog.DropEvent
    return event


def _hide_secrets(_logger: object, _method: str, event: _EventDict) -> _EventDict:
    return redacted(event)


def _render(logger: object, method: str, event: _EventDict) -> str:
    if _output.format is LogFormat.JSON:
        return str(_json(logger, method, event))
    for name, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[name] = _printable(value, keep="\n" if name == "exception" else "")
    colours = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    return (_coloured if colours else _plain)(logger, method, event)


def _printable(text: str, keep: str) -> str:
    """What a worker typed must neither move the terminal's cursor nor look like a line of its own."""
    return "".join(sign if sign.isprintable() or sign in keep else repr(sign)[1:-1] for sign in text)


_json = structlog.processors.JSONRenderer()
# Tracebacks are plain: the prettier ones print local variables, which hold secrets and workers' texts.
_plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
_coloured = structlog.dev.ConsoleRenderer(colors=True, exception_formatter=structlog.dev.plain_traceback)
