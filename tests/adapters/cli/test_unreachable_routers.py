"""A router that the operator cannot reach is named, with the remedy, by verbs that would otherwise wait silently."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import trio
from click.testing import CliRunner

from mephisto_es.adapters.cli.main import main
from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.control.server import serve_control
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.operations.control.executor import RequestExecutor
from mephisto_es.core.operations.control.requests import AnyRequest, Reply
from mephisto_es.core.ports import Outage
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import offered_history

SERVER = "https://tasks.example.org"
AWAY = Outage(server=SERVER, seconds=3600.0, problem=f"the router at {SERVER} does not answer")
SENTENCE = (
    "the router at https://tasks.example.org is out of reach (does not answer): start it again, or see to the "
    "network. It keeps what workers have submitted there"
)


class OperatorWithoutRouter(RequestExecutor):
    """The operator of a live run that cannot reach one of its routers."""

    def __init__(self) -> None:
        """Keep nothing: every request gets the same answer."""

    async def execute(self, request: AnyRequest, author: str, key: str) -> Reply:
        await trio.lowlevel.checkpoint()
        return Reply(outages=(AWAY,))


async def test_a_router_that_is_out_of_reach_is_named_by_blockers_and_end(tmp_path: Path) -> None:
    database = tmp_path / DATABASE_FILE
    with SqliteLog.create_or_open(database, PROJECTIONS) as log:
        log.commit(offered_history(units=1, workers=1))
    run = partial(CliRunner().invoke, main)
    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_control, database, OperatorWithoutRouter())
            blockers = await trio.to_thread.run_sync(run, ["blockers", str(tmp_path), "1"])
            assert SENTENCE in " ".join(blockers.output.split()), blockers.output
            assert "since" in blockers.output
            ended = await trio.to_thread.run_sync(run, ["end", str(tmp_path), "1"])
            assert (ended.exit_code, SENTENCE in ended.stderr) == (0, True), ended.output
            assert "The run ends without it if it stays away for two minutes" in ended.stderr
            nursery.cancel_scope.cancel()
