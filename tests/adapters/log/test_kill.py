"""Writers killed under load: what was acknowledged is there, and nothing is half there.

The short form takes a few rounds; `KILL_ROUNDS=100` is the long one.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.sqlite.log import SqliteLog

from .support import RosterProjection

ROUNDS = int(os.environ.get("KILL_ROUNDS", "5"))
WRITER = Path(__file__).with_name("kill_writer.py")


def acknowledged_before_a_kill(path: Path, lines: int, batch: int) -> list[str]:
    """Start a writer, kill it once it has said so many lines, and return all it had said."""
    with subprocess.Popen([sys.executable, str(WRITER), str(path), str(batch)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(lines)]
        writer.send_signal(signal.SIGKILL)
        said += writer.stdout.readlines()
    assert writer.returncode == -signal.SIGKILL
    return [line.decode().strip() for line in said if line.endswith(b"\n")]


def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    chance = random.Random(7)
    acknowledged: list[str] = []
    for round_number in range(ROUNDS):
        batch = chance.choice((1, 3, 50))
        acknowledged += acknowledged_before_a_kill(path, chance.randrange(1, 600), batch)
        report = replay(path, (RosterProjection(),))
        assert report.findings == (), f"round {round_number}"
        with SqliteLog.open_read_only(path) as log:
            events_of = Counter(event.envelope.command for event in log.read())
        lost = [command for command in acknowledged if command not in events_of]
        assert lost == [], f"round {round_number}"
        halves = [command for command, events in events_of.items() if command.startswith("two-") and events != 2]
        assert halves == [], f"round {round_number}"
    with SqliteLog.create_or_open(path, (RosterProjection(),)) as log:
        assert log.epoch == ROUNDS + 1
