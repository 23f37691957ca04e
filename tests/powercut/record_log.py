"""The writer of a log, to be recorded: commits, anchors, and writes down what is durable.

Usage: python -m tests.powercut.record_log FOLDER COUNT

Each line of the file `told` is a command whose commit has returned, or a position that is anchored.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mephisto_es.adapters.log.sqlite.log import SqliteLog

from ..adapters.log.support import RosterProjection, register, request, unit_event, unit_stream

TOLD = "told"
LOG = "mephisto.db"


def write(folder: Path, count: int) -> None:
    """Commit so many times, and open the log three times for it."""
    told = os.open(folder / TOLD, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    number = 0
    for part in range(3):
        with SqliteLog.create_or_open(folder / LOG, (RosterProjection(),)) as log:
            while number < (part + 1) * count // 3:
                number += 1
                events = [(unit_stream(number), unit_event(number, step)) for step in (0, 1)]
                log.commit([request(f"two-{number}", *events), register(number, f"worker {number}")])
                os.write(told, f"two-{number}\n".encode())
                if number % 4 == 0:
                    os.write(told, f"anchor {log.write_anchor().seq}\n".encode())


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]))
