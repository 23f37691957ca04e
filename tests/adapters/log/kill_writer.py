"""A writer that is killed: commits commands of two events in batches and says which ones are durable.

Usage: kill_writer.py LOG BATCH. Each line on standard output is a command whose commit has returned.
"""

from __future__ import annotations

import sys

from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.tests.adapters.log.support import RosterProjection, register, request, unit_event, unit_stream


def write_until_killed(path: str, batch: int) -> None:
    """Go on for ever; each round of the test uses unit numbers of its own."""
    with SqliteLog.create_or_open(path, (RosterProjection(),)) as log:
        first = number = log.epoch * 1_000_000
        while True:
            requests = []
            for _ in range(batch):
                number += 1
                events = [(unit_stream(number), unit_event(number, step)) for step in (0, 1)]
                requests.append(request(f"two-{number}", *events))
                if number % 10 == 0:
                    requests.append(register(number, f"worker {number}"))
            log.commit(requests)
            if number - first > 200:
                log.write_anchor()
            for done in requests:
                print(done.command, flush=True)  # noqa: T201  # this is how the test is told


if __name__ == "__main__":
    write_until_killed(sys.argv[1], int(sys.argv[2]))
