"""An offer that somebody pauses on the site stays paused until a person here starts it again."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from mephisto_es.adapters.fakes.connect.site import FakeConnect
from mephisto_es.adapters.fakes.prolific.site import FakeProlific
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.errors import CommandRefusedError
from mephisto_es.core.operations.control.requests import ReconcileRequest
from mephisto_es.events.envelope import RecordedEvent
from mephisto_es.events.task_run import SiteOffer, TaskRunOfferChanged

from .site_run import SiteRun, open_site_run, until, write_accounts

#: More than a site is polled for.
A_POLL_SECONDS = 62


@pytest.fixture(autouse=True)
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(write_accounts(tmp_path)))


def pause(site: FakeProlific | FakeConnect) -> None:
    """Pause the offer as a person on the site's pages does."""
    if isinstance(site, FakeProlific):
        (study,) = site.ledger.studies.values()
        site.studies.transition(study, "PAUSE")
    else:
        (project,) = site.ledger.projects.values()
        site.projects.move(project, "Paused")


def is_open(site: FakeProlific | FakeConnect) -> bool:
    if isinstance(site, FakeProlific):
        return [one.status for one in site.ledger.studies.values()] == ["ACTIVE"]
    return [one.status for one in site.ledger.projects.values()] == ["Live"]


def offers(run: SiteRun) -> list[SiteOffer]:
    """What the log says about the offer, one change after the other."""
    return [event.offer for one in run.harness.log.read() if isinstance(event := _event(one), TaskRunOfferChanged)]


def _event(recorded: RecordedEvent) -> object:
    return recorded.envelope.event


@pytest.mark.parametrize("kind", ["prolific", "connect"])
async def test_a_pause_by_hand_is_noticed_and_only_a_person_ends_it(
    kind: str, tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_site_run(kind, tmp_path) as run:
        live = await run.launch(3, max_num_concurrent_units=2)
        router = run.harness.router(live)
        await until(lambda: is_open(run.site))
        anna = run.person("anna")
        taken = await anna.reserve()
        assert taken is not None
        details = await router.request_agent(await anna.open(taken))
        pause(run.site)
        await trio.sleep(A_POLL_SECONDS)
        assert offers(run) == [SiteOffer.OPEN, SiteOffer.PAUSED_THERE]
        # Another unit comes on offer, which would need another place.
        router.submit_task(details["agent_id"], {})
        await anna.enter_code(taken)
        await trio.sleep(600)
        assert not is_open(run.site)
        assert (await run.reconcile(live.task_run)).is_paused_there
        assert not is_open(run.site)
        request = ReconcileRequest(task_run=live.task_run, starts_offer=True)
        found = (await run.ask(request)).round
        assert found is not None
        assert not found.is_paused_there
        assert is_open(run.site)
        changed = [one for one in run.harness.log.read() if isinstance(_event(one), TaskRunOfferChanged)]
        assert [one.envelope.actor for one in changed] == ["reconciler", "reconciler", "user/me"]
        await run.harness.operator.runs.pause_run(live.task_run, "lunch", "me")
        assert offers(run)[2:] == [SiteOffer.OPEN, SiteOffer.WITHDRAWN]
        with pytest.raises(CommandRefusedError, match="run 1 is not live and offers nothing"):
            await run.ask(request)


@pytest.mark.parametrize("kind", ["prolific", "connect"])
async def test_a_pause_while_nobody_was_here_is_not_ended_by_a_restart(
    kind: str, tmp_path: Path, autojump_clock: MockClock
) -> None:
    log = MemoryLog()
    async with open_site_run(kind, tmp_path, log=log) as run:
        await run.launch(2)
        site = run.site
        await until(lambda: is_open(site))
    pause(site)
    async with open_site_run(kind, tmp_path, site, log) as run:
        await run.launch(2, resume_incomplete_run=True)
        await trio.sleep(600)
        assert not is_open(site)
        assert offers(run)[-1] is SiteOffer.PAUSED_THERE
        # Somebody starts it on the site's pages.
        if isinstance(site, FakeProlific):
            (study,) = site.ledger.studies.values()
            site.studies.transition(study, "START")
        else:
            (project,) = site.ledger.projects.values()
            site.projects.move(project, "Live")
        await trio.sleep(A_POLL_SECONDS)
        assert offers(run)[-1] is SiteOffer.OPEN
