"""Writes the router's log: one JSON object a line on stderr.

Nothing secret belongs here, no agent's token, and nothing that a worker wrote.
"""

import logging
from datetime import UTC, datetime

import msgspec

_logger = logging.getLogger("router")


def log(event: str, **facts: object) -> None:
    """Write one line for whoever runs the process.

    Args:
        event: what happened, a short fixed name.
        facts: what else is worth knowing.
    """
    _logger.warning(event, extra={"facts": facts})


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
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler])
