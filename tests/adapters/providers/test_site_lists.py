"""Lists of workers at a site follow ours: each change is intended, answered and settled, and people's changes stay."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from mephisto_es.adapters.fakes.faults import Fault, FaultPlan
from mephisto_es.adapters.fakes.prolific.books import FakeGroup
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.adapters.providers.connect.provider import FROZEN
from mephisto_es.core.entity_ref import EntityRef
from mephisto_es.core.errors import LaunchError, LogError
from mephisto_es.core.lifecycles.site_list import SiteListState, list_of
from mephisto_es.core.operations.control.round_report import RoundOutcome
from mephisto_es.core.ports import AppendRequest, Outcome
from mephisto_es.events.ids import TaskRunId, WorkerId
from mephisto_es.events.payment import Answer
from mephisto_es.events.task_run import SiteListAnswered, SiteListEvent, SiteListIntended, SiteListObserved
from mephisto_es.projections.queries.history.timeline import timeline

from .site_run import SiteRun, open_site_run, until, write_accounts

CAREFUL = {"prolific_qualification_groups": {"careful": "Careful"}}
GROUPS = "POST /api/v1/participant-groups/"


@pytest.fixture(autouse=True)
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(write_accounts(tmp_path)))


def told(log: MemoryLog) -> list[SiteListEvent]:
    """Return the events about lists."""
    events = [recorded.envelope.event for recorded in log.read()]
    return [event for event in events if isinstance(event, SiteListIntended | SiteListAnswered | SiteListObserved)]


def blocked(run: SiteRun, task_run: TaskRunId) -> SiteListState:
    state = run.harness.operator.ledger.state
    return list_of(next(one for one in state.task_runs.values() if one.task_run == task_run).site_lists, None)


def block_group(run: SiteRun) -> FakeGroup:
    return next(one for one in run.prolific.ledger.groups.values() if one.name == "Block list")


async def new_worker(run: SiteRun, name: str) -> WorkerId:
    return await run.harness.operator.directory().new_worker(name, f"near_{run.kind}")


async def test_a_block_is_intended_before_it_is_asked_for_and_answered_after(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_site_run("prolific", tmp_path) as run:
        live, anna = await run.launch(2), await new_worker(run, "anna")
        await run.harness.operator.reviewer().block_worker(anna, "a bot")
        await until(lambda: len(told(run.harness.log)) == 2)
        assert told(run.harness.log) == [
            SiteListIntended(qualification=None, added=(anna,)),
            SiteListAnswered(qualification=None, answer=Answer.DONE),
        ]
        (report,) = (await run.reconcile(live.task_run)).lists
        assert (report.qualification, report.outcome, report.told) == (None, RoundOutcome.SETTLED, 1)
        # Nothing is told twice, and the worker's history has both.
        await trio.sleep(300)
        assert len(told(run.harness.log)) == 2
        lines = [one.text for one in timeline(run.harness.log.read(), EntityRef("worker", anna))]
        assert lines[-2:] == [
            "about to ask the provider to change its list of blocked workers: worker-1 in, nobody out",
            "the change of the provider's list of blocked workers: done",
        ]


@pytest.mark.parametrize("fault", [Fault.LOST_AFTER, Fault.LOST_BEFORE])
async def test_a_lost_answer_is_settled_by_a_look(fault: Fault, tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_site_run("prolific", tmp_path) as run:
        live, anna = await run.launch(2), await new_worker(run, "anna")
        run.site.faults.follow(FaultPlan(script=(fault,) * 30, only=GROUPS))
        await run.harness.operator.reviewer().block_worker(anna, "a bot")
        await until(lambda: blocked(run, live.task_run).answer is Answer.UNKNOWN)
        run.site.faults.follow(FaultPlan())
        await until(lambda: not blocked(run, live.task_run).is_open)
        assert set(block_group(run).members) == {"anna"}
        answers = [event.answer for event in told(run.harness.log) if isinstance(event, SiteListAnswered)]
        assert answers == [Answer.UNKNOWN, Answer.DONE]
        assert blocked(run, live.task_run).members == {anna}


class CutLog(MemoryLog):
    """A log whose writer's process ends when it is about to record the first answer about a list."""

    is_cut = False

    def commit(self, batch: Sequence[AppendRequest]) -> list[Outcome]:
        kinds = {type(event) for request in batch for _, event in request.events}
        if not self.is_cut and SiteListAnswered in kinds:
            self.is_cut = True
            raise LogError("the power is cut")
        return super().commit(batch)


@pytest.mark.parametrize("kind", ["prolific", "connect"])
async def test_a_kill_between_the_change_and_its_answer_is_settled_by_the_next_process(
    kind: str, tmp_path: Path, autojump_clock: MockClock
) -> None:
    log = CutLog()
    site, anna = None, WorkerId(1)
    try:
        async with open_site_run(kind, tmp_path, log=log) as run:
            site = run.site
            assert await new_worker(run, "anna") == anna
            await run.harness.operator.reviewer().block_worker(anna, "a bot")
            await run.launch(2)
    except* (LogError, LaunchError):
        pass
    intended = SiteListIntended(qualification=None, added=(anna,))
    assert told(log) == [intended]
    async with open_site_run(kind, tmp_path, site, log) as run:
        live = await run.launch(2, resume_incomplete_run=True)
        await until(lambda: not blocked(run, live.task_run).is_open)
        # What the site shows, or is told again as a whole, is not intended a second time.
        assert told(log) == [intended, SiteListAnswered(qualification=None, answer=Answer.DONE)]
        assert await run.person("anna").reserve() is None
        assert await run.person("bert").reserve() is not None


async def test_what_somebody_changes_on_the_sites_pages_is_recorded_and_stays(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_site_run("prolific", tmp_path) as run:
        anna, bert = await new_worker(run, "anna"), await new_worker(run, "bert")
        reviewer = run.harness.operator.reviewer()
        await reviewer.block_worker(anna, "a bot")
        live = await run.launch(2)
        members, log = block_group(run).members, run.harness.log
        await trio.sleep(200)
        del members["anna"]
        members["bert"] = 0.0
        await trio.sleep(60)
        assert told(log)[2:] == [SiteListObserved(qualification=None, added=(bert,), removed=(anna,))]
        await trio.sleep(200)
        assert (list(members), len(told(log))) == (["bert"], 3)
        (report,) = (await run.reconcile(live.task_run)).lists
        assert (report.outcome, report.put_in_there, report.taken_out_there) == (
            RoundOutcome.SETTLED,
            (bert,),
            (anna,),
        )
        lines = [one.text for one in timeline(log.read(), EntityRef("worker", bert))]
        assert lines[-1] == ("somebody changed the provider's list of blocked workers there: worker-2 in, worker-1 out")
        # Here nothing has changed: bert gets work, and anna does not, until somebody decides that anew.
        await reviewer.block_worker(bert, "a bot, too")
        await until(lambda: blocked(run, live.task_run).members == {anna, bert})
        await reviewer.unblock_worker(bert, "no bot")
        await until(lambda: not members)
        await reviewer.unblock_worker(anna, "no bot")
        await trio.sleep(60)
        await reviewer.block_worker(anna, "a bot after all")
        await until(lambda: list(members) == ["anna"])


async def test_a_qualification_is_told_once_and_with_its_name(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_site_run("prolific", tmp_path) as run:
        directory, reviewer = run.harness.operator.directory(), run.harness.operator.reviewer()
        careful = await directory.find_or_create_qualification("careful")
        anna = await new_worker(run, "anna")
        await reviewer.grant_qualification(anna, "careful")
        live = await run.launch(2, **CAREFUL)
        assert told(run.harness.log) == [
            SiteListIntended(qualification=careful, added=(anna,)),
            SiteListAnswered(qualification=careful, answer=Answer.DONE),
        ]
        assert (await run.reconcile(live.task_run)).is_settled


async def test_a_list_that_the_site_has_frozen_is_reported(
    tmp_path: Path, autojump_clock: MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_site_run("connect", tmp_path) as run:
        live, anna = await run.launch(2), await new_worker(run, "anna")
        await run.harness.operator.reviewer().block_worker(anna, "a bot")
        await until(lambda: len(told(run.harness.log)) == 2)
        answered = told(run.harness.log)[1]
        assert isinstance(answered, SiteListAnswered)
        assert answered.answer is Answer.REFUSED
        assert "frozen the project's lists at its launch" in answered.reason
        await trio.sleep(300)
        assert len(told(run.harness.log)) == 2
        assert FROZEN in capsys.readouterr().err
        found = await run.reconcile(live.task_run)
        assert [one.outcome for one in found.lists] == [RoundOutcome.SETTLED]
        assert found.lists[0].reason == FROZEN
        # Nobody can do anything about it, and the log does not repeat it for each process that asks.
        assert found.is_settled
        assert len(told(run.harness.log)) == 2
        assert "a list of workers" not in capsys.readouterr().err


async def test_an_unblocked_worker_whose_block_was_never_told_is_forgotten(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_site_run("prolific", tmp_path) as run:
        live, anna = await run.launch(2), await new_worker(run, "anna")
        run.site.faults.follow(FaultPlan(script=(Fault.LOST_BEFORE,) * 30, only=GROUPS))
        await run.harness.operator.reviewer().block_worker(anna, "a bot")
        await until(lambda: blocked(run, live.task_run).answer is Answer.UNKNOWN)
        await run.harness.operator.reviewer().unblock_worker(anna, "no bot")
        await until(lambda: not blocked(run, live.task_run).is_open)
        last = told(run.harness.log)[-1]
        assert last == SiteListAnswered(qualification=None, answer=Answer.NOT_SENT)
        assert not block_group(run).members


async def test_a_deleted_group_is_made_again(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_site_run("prolific", tmp_path) as run:
        live, anna = await run.launch(2), await new_worker(run, "anna")
        block_group(run).is_deleted = True
        await run.harness.operator.reviewer().block_worker(anna, "a bot")
        await until(lambda: blocked(run, live.task_run).members == {anna})
        *_, group = run.prolific.ledger.groups.values()
        assert (group.name, list(group.members)) == ("Block list", ["anna"])
