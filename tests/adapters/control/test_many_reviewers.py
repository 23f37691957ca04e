"""Sixteen people review at once while a crowd works; the operator dies, reviewers are interrupted, and all repeat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import trio

from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.control.protocol import author_of
from mephisto_es.adapters.control.reviews import record_verdicts
from mephisto_es.adapters.crowd.bot import draw_bots
from mephisto_es.adapters.crowd.crowd import Crowd
from mephisto_es.adapters.log.sqlite.reader import LogReader
from mephisto_es.core.commands.review import Verdict
from mephisto_es.core.errors import LogError
from mephisto_es.core.operations.control.requests import VerdictRequest
from mephisto_es.events.agent import AgentApproved
from mephisto_es.events.ids import AgentId
from mephisto_es.events.payment import PaymentOwed
from mephisto_es.projections.mephisto_db.reader import MephistoDB

from ...processes import GIVE_UP_SECONDS, Gate, end_routers, launched, rating, report_of, resumed, some_sentences

REVIEWERS = 16
UNITS = 16


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "data"
    yield folder
    end_routers(folder)


class Reviews:
    """The people who review, and what they have been told is recorded."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self.recorded: Counter[int] = Counter()
        self.half = trio.Event()
        self._news = trio.Event()

    async def review(self, number: int) -> None:
        """Approve every sixteenth agent as soon as it is completed, until all are."""
        chance = Random(number)
        mine = {AgentId(agent) for agent in range(1, 4 * UNITS) if agent % REVIEWERS == number}
        while sum(self.recorded.values()) < UNITS:
            for agent in sorted(mine & self._completed()):
                await self._approve(agent, number, chance)
                mine.remove(agent)
                self.recorded[agent] += 1
                if sum(self.recorded.values()) == UNITS // 2:
                    self.half.set()
            await trio.sleep(0.3)

    async def _approve(self, agent: AgentId, number: int, chance: Random) -> None:
        """Give a verdict again and again, whatever happened to the call before, until one is known to be recorded."""
        verdict = VerdictRequest(agent=agent, verdict=Verdict.APPROVED)
        while True:
            # Some give up before the answer, as if they were interrupted, and repeat the command.
            patience = chance.choice((0.05, 60, 60))
            try:
                with trio.move_on_after(patience):
                    done = await record_verdicts(self._database, author_of(f"reviewer-{number}"), [verdict])
                    assert done.refusal is None
                    return
            except LogError:
                await trio.sleep(0.3)

    def _completed(self) -> set[AgentId]:
        with MephistoDB(self._database) as db:
            return {AgentId(agent.agent_id) for agent in db.find_agents(status="completed")}


async def test_every_verdict_is_recorded_once_in_the_name_of_its_author(tmp_path: Path, data_dir: Path) -> None:
    database, gate = data_dir / DATABASE_FILE, Gate()
    async with trio.open_nursery() as crowds:
        async with trio.open_nursery() as reviewers:
            async with launched(data_dir, some_sentences(tmp_path, UNITS)) as script:
                reviews = Reviews(database)
                bots = draw_bots(Random(3), 8, rating, returning=0, disconnecting=0, think_seconds=0.3)
                crowd = Crowd(
                    script.url,
                    bots,
                    before_submission=gate.pass_one,
                    on_submitted=gate.count,
                    patience_seconds=GIVE_UP_SECONDS,
                    retry_seconds=GIVE_UP_SECONDS,
                )
                crowds.start_soon(crowd.run)
                crowds.start_soon(gate.submit, UNITS - 1)  # the run is not over before its operator is killed
                for number in range(REVIEWERS):
                    reviewers.start_soon(reviews.review, number)
                await reviews.half.wait()
                await script.kill()
            gate.open()
            async with resumed(data_dir) as operator:
                assert await operator.process.wait() == 0
        crowds.cancel_scope.cancel()
    with LogReader(database) as log:
        envelopes = [recorded.envelope for recorded in log.read()]
    approvals = [
        (int(one.stream.rpartition("/")[2]), one.actor) for one in envelopes if isinstance(one.event, AgentApproved)
    ]
    assert len(approvals) == len(reviews.recorded) == UNITS
    assert dict(approvals) == {agent: f"user/reviewer-{agent % REVIEWERS}" for agent in reviews.recorded}
    owed = Counter(one.event.agent for one in envelopes if isinstance(one.event, PaymentOwed))
    assert owed == {AgentId(agent): 1 for agent in reviews.recorded}
    report = report_of(data_dir)
    assert report.legal, report.findings
    assert report.units == {"accepted": UNITS}
