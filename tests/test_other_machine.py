"""An operator whose machine dies with its data folder: another one continues, with the log on a server."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from mephisto_es.adapters.composition.log_choice import LEASE_VARIABLE, LOG_VARIABLE

from .postgres import Cluster
from .processes import (
    COMMAND,
    Gate,
    launched,
    no_router_is_left,
    report_of,
    resumed,
    routers_of,
    some_sentences,
)

__all__ = ["no_router_is_left"]

pytestmark = pytest.mark.usefixtures("no_router_is_left")


async def test_another_machine_continues_with_nothing_but_the_log(
    tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LOG_VARIABLE, cluster.new_database())
    monkeypatch.setenv(LEASE_VARIABLE, "1")
    lost, other = tmp_path / "lost", tmp_path / "other"
    async with launched(lost, some_sentences(tmp_path, 6)) as script:
        gate = Gate()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(script.crowd(gate).run)
            await gate.submit(1)
            await script.kill()
            nursery.cancel_scope.cancel()
        for pid in routers_of(lost):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    lost.rename(tmp_path / "out of reach")
    await trio.run_process([COMMAND, "log", "update", str(other)], stdout=subprocess.DEVNULL)
    async with resumed(other) as script:
        await script.work_to_the_end()
    report = report_of(other)
    assert report.legal, report.findings
    assert report.units == {"completed": 6}
