"""Writes log lines with the ids of the entities they are about, for people on a terminal or as JSON.

The lines go to standard error through structlog alone. Python's `logging` is not involved, so code that configures it
(as Hydra does, for each job) can neither swallow nor duplicate them. Standard error is looked up for each line, so
that a progress bar that replaces it keeps the lines above the bar.

    logger = get_logger(__name__)
    with log_ids(run=1, agent=12, worker=7):
        logger.info("submitted", unit=40)      # ... run=1 agent=12 worker=7 unit=40
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator, MutableMapping
from contextvars import ContextVar
from enum import Enum
from typing import cast

import structlog
from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.typing import FilteringBoundLogger

from ..errors import ConfigError
from ..printable import printable, printable_lines
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
#: Number of messages that `warn_once` remembers; further messages are logged each time.
MAX_REMEMBERED_WARNINGS = 1000

#: The program whose commands are completed.
PROGRAM = "mephisto-es"
#: Completes commands; None: they stay as they are.
_complete: ContextVar[Callable[[str], str] | None] = ContextVar("complete", default=None)

_EventDict = MutableMapping[str, object]


class LogFormat(Enum):
    """Format of log lines."""

    CONSOLE = "console"
    JSON = "json"


class _Output:
    """Settings that all loggers share, and that may change while they are in use."""

    def __init__(self) -> None:
        self.threshold = logging.INFO
        self.format = LogFormat.CONSOLE
        self.warned: set[str] = set()


_output = _Output()


def get_logger(name: str) -> FilteringBoundLogger:
    """Return a logger for one module; its `.bind(agent=12)` returns a logger that adds the id to each line.

    Args:
        name: added to each line as `logger`; usually `__name__`.
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
            _complete_commands,
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        context_class=dict,
    )
    return cast(FilteringBoundLogger, logger.bind(logger=name))


def log_ids(**ids: int | str) -> contextlib.AbstractContextManager[None]:
    """Add ids (`run=1, agent=12, worker=7`) to each line logged in the block, and in tasks started there."""
    return bound_contextvars(**ids)


@contextlib.contextmanager
def completing_commands(complete: Callable[[str], str]) -> Iterator[None]:
    """Complete the commands that lines advise, in a block and in tasks started there.

    Args:
        complete: returns a text with its commands completed, for example with the log that they are about.
    """
    token = _complete.set(complete)
    try:
        yield
    finally:
        _complete.reset(token)


def set_mephisto_log_level(verbose: bool | None = None, level: str | None = None) -> None:
    """Set the level from which on lines are written, for all loggers, including those in use.

    Args:
        verbose: True for debug, False for info.
        level: name of a level; takes precedence over `verbose`.

    Raises:
        ConfigError: neither is given, or the level does not exist.
    """
    if level is None:
        if verbose is None:
            raise ConfigError("a log level needs verbose or level", key="mephisto.log_level")
        level = "debug" if verbose else "info"
    _output.threshold = log_level(level)


def log_level(name: str) -> int:
    """Return the number of a level.

    Raises:
        ConfigError: the level does not exist.
    """
    number = LOG_LEVELS.get(name.lower())
    if number is None:
        raise ConfigError(
            f"there is no log level {name!r}", key="mephisto.log_level", hint=did_you_mean(name.lower(), LOG_LEVELS)
        )
    return number


def set_mephisto_log_format(log_format: LogFormat | None = None) -> None:
    """Set the format of lines for all loggers, including those in use.

    Args:
        log_format: the format; None for that of the environment variable `MEPHISTO_LOG_FORMAT` (`console` or `json`),
            or else `console`.

    Raises:
        ConfigError: the variable has another value.
    """
    if log_format is None:
        named = os.environ.get(LOG_FORMAT_VARIABLE) or LogFormat.CONSOLE.value
        formats = {known.value: known for known in LogFormat}
        if named not in formats:
            raise ConfigError(
                f"{LOG_FORMAT_VARIABLE} is {named!r}", key=LOG_FORMAT_VARIABLE, hint=did_you_mean(named, formats)
            )
        log_format = formats[named]
    _output.format = log_format


def mephisto_log_format() -> LogFormat:
    """Return the format that log lines are written in."""
    return _output.format


def warn_once(message: str, **fields: object) -> None:
    """Log a warning, but each message only once per process."""
    if message in _output.warned:
        return
    if len(_output.warned) < MAX_REMEMBERED_WARNINGS:
        _output.warned.add(message)
    get_logger("mephisto_es").warning(message, **fields)


class _StandardError:
    """The sink of structlog, with one method per level."""

    def msg(self, line: str) -> None:
        # A full disk or a closed terminal must not stop a run.
        with contextlib.suppress(OSError):
            sys.stderr.write(line + "\n")

    debug = info = warning = error = critical = msg


def _drop_below_threshold(_logger: object, method: str, event: _EventDict) -> _EventDict:
    if LOG_LEVELS[method] < _output.threshold:
        raise structlog.DropEvent
    return event


def _hide_secrets(_logger: object, _method: str, event: _EventDict) -> _EventDict:
    return redacted(event)


def _complete_commands(_logger: object, _method: str, event: _EventDict) -> _EventDict:
    complete = _complete.get()
    if complete is not None:
        for name, value in event.items():
            if isinstance(value, str) and PROGRAM in value:
                event[name] = complete(value)
    return event


def _render(logger: object, method: str, event: _EventDict) -> str:
    if _output.format is LogFormat.JSON:
        return str(_json(logger, method, event))
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = printable_lines(value) if name == "exception" else printable(value)
    colours = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    return (_coloured if colours else _plain)(logger, method, event)


_json = structlog.processors.JSONRenderer()
# Plain tracebacks: the pretty ones print local variables, which may hold secrets and workers' texts.
_plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
_coloured = structlog.dev.ConsoleRenderer(colors=True, exception_formatter=structlog.dev.plain_traceback)
