"""Writes the router's log: one JSON object a line on stderr, within limits of rate and size.

Nothing secret belongs here, no agent's token, and nothing that a worker wrote.
"""

import logging
import os
import stat
import time
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

#: Lines that are written in a minute; further ones are only counted.
LINES_PER_MINUTE = 300
#: Size of a log file; beyond it only the end is kept.
MAX_BYTES = 8 * 2**20
#: How much of a file is kept then.
KEPT_BYTES = 2 * 2**20

_logger = logging.getLogger("router")


def log(event: str, **facts: object) -> None:
    """Write one line for the person who runs the process.

    Args:
        event: what happened, a short fixed name.
        facts: what else is worth knowing.
    """
    _logger.warning(event, extra={"facts": facts})


class BoundedLog:
    """Lines in a file, or in whatever else a descriptor stands for.

    Args:
        fd: where they go. A file is shortened if it can be read, too.
        monotonic: returns seconds since any fixed moment.
        max_bytes: size of a file.
        kept_bytes: how much of its end is kept when it is shortened.
    """

    def __init__(
        self,
        fd: int,
        monotonic: Callable[[], float],
        max_bytes: int = MAX_BYTES,
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        self._fd = fd
        self._monotonic = monotonic
        self._max_bytes = max_bytes
        self._kept_bytes = kept_bytes
        self._minute_began = monotonic()
        self._lines = 0
        self._suppressed = 0

    def write(self, line: str) -> None:
        """Write a line, unless there were too many in this minute."""
        now = self._monotonic()
        if now - self._minute_began >= 60:
            if self._suppressed:
                self._append(msgspec.json.encode({"event": "lines_suppressed", "count": self._suppressed}) + b"\n")
            self._minute_began, self._lines, self._suppressed = now, 0, 0
        self._lines += 1
        if self._lines > LINES_PER_MINUTE:
            self._suppressed += 1
        else:
            self._append(line.encode("utf-8", "replace"))

    def flush(self) -> None:
        """Do nothing: each line is written at once."""

    def _append(self, line: bytes) -> None:
        try:
            os.write(self._fd, line)
            status = os.fstat(self._fd)
            if stat.S_ISREG(status.st_mode) and status.st_size > self._max_bytes:
                end = os.pread(self._fd, self._kept_bytes, status.st_size - self._kept_bytes)
                os.ftruncate(self._fd, 0)
                os.write(self._fd, end[end.find(b"\n") + 1 :])
        except OSError:
            # A log that cannot be written must not stop the router.
            return


class JsonFormatter(logging.Formatter):
    """Formats a record, one of ours or a library's, as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "event": record.getMessage(),
        }
        if record.name != _logger.name:
            line["from"] = record.name
        line |= getattr(record, "facts", {})
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def log_to_stderr(level: int = logging.WARNING) -> None:
    """Send all log records of this process to stderr."""
    handler = logging.StreamHandler(BoundedLog(2, time.monotonic))
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler])
