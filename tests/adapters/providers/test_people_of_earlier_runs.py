"""People who have done all that a task allows are not shown its next study or project: they would come in vain."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from mephisto_es.adapters.providers.prolific.api.study_request import StudyFilter
from mephisto_es.adapters.providers.prolific.filters import BLOCK_FILTER, without_people
from mephisto_es.core.operations.control.requests import ReconcileRequest

from .site_run import SiteRun, open_site_run, until, write_accounts

KINDS = pytest.mark.parametrize("kind", ["prolific", "connect"])


@pytest.fixture(autouse=True)
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(write_accounts(tmp_path)))


async def launch_twice(run: SiteRun, maximum: int) -> str:
    """Have somebody do a unit of a run, and launch the task again; return their name."""
    first = await run.launch(1, maximum_units_per_worker=maximum)
    await until(lambda: bool(offers(run)))
    assert await run.person("anna").take_part(run.harness.router(first)) is not None
    await run.harness.operator.runs.wait_until_all_ended()
    await run.launch(2, maximum_units_per_worker=maximum)
    await until(lambda: len(offers(run)) == 1)
    return "anna"


def offers(run: SiteRun) -> list[str]:
    """Return the ids of the studies or projects on offer."""
    if run.kind == "prolific":
        return [one.id for one in run.prolific.ledger.studies.values() if one.status == "ACTIVE"]
    return [one.id for one in run.connect.ledger.projects.values() if one.status == "Live"]


@KINDS
async def test_who_has_reached_the_maximum_of_a_task_is_not_shown_its_next_run(
    kind: str, tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_site_run(kind, tmp_path) as run:
        anna = await launch_twice(run, 1)
        assert await run.person(anna).reserve() is None
        assert await run.person("bert").reserve() is not None


@KINDS
async def test_who_may_do_more_is_shown_it(kind: str, tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_site_run(kind, tmp_path) as run:
        assert await run.person(await launch_twice(run, 2)).reserve() is not None


async def test_a_study_in_place_of_one_that_was_stopped_leaves_out_its_people(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_site_run("prolific", tmp_path) as run:
        live = await run.launch(3, maximum_units_per_worker=1)
        await until(lambda: bool(offers(run)))
        await run.person("anna").take_part(run.harness.router(live))
        await trio.sleep(120)
        (study,) = run.prolific.ledger.studies.values()
        run.prolific.studies.transition(study, "STOP")
        await trio.sleep(120)
        await run.ask(ReconcileRequest(task_run=live.task_run, starts_offer=True))
        assert len(offers(run)) == 1
        assert await run.person("anna").reserve() is None
        assert await run.person("bert").reserve() is not None


def test_a_list_of_the_configuration_is_extended() -> None:
    age = StudyFilter(filter_id="age", selected_range={"lower": 18})
    own = StudyFilter(filter_id=BLOCK_FILTER, selected_values=("a", "b"))
    assert without_people((own, age), []) == (own, age)
    assert without_people((own, age), ["b", "c"]) == (
        age,
        StudyFilter(filter_id=BLOCK_FILTER, selected_values=("a", "b", "c")),
    )
