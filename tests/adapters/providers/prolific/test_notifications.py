"""Prolific's webhooks: a run subscribes its server, is woken by them, and ends the subscriptions with itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from mephisto_es.core.errors import LaunchError
from mephisto_es.core.lifecycles.agent import AgentStatus
from mephisto_es.events.codec import encode
from mephisto_es.events.engagement import SiteWorkStatus

from ..site_run import PAGE, SiteRun, open_site_run, until, write_accounts

#: The longest time from a webhook to the record of what has happened.
NOTICED_SECONDS = 2


@pytest.fixture(autouse=True)
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(write_accounts(tmp_path)))


def targets(run: SiteRun) -> list[tuple[str, str, bool]]:
    return [(hook.event_type, hook.target_url, hook.is_enabled) for hook in run.prolific.ledger.hooks.values()]


async def test_a_webhook_wakes_the_reconciler(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_site_run("prolific", tmp_path) as run:
        live = await run.launch(2, prolific_webhooks=True)
        target = f"{PAGE}provider_webhook"
        assert targets(run) == [
            ("submission.status.change", target, True),
            ("study.status.change", target, True),
        ]
        router, operator = run.harness.router(live), run.harness.operator
        assert router.webhook_key is not None
        secret = run.prolific.ledger.hook_secret
        assert secret is not None
        assert router.webhook_key["secret"] == secret
        await run.person("anna").take_part(router)
        await until(lambda: run.statuses() == ["AWAITING REVIEW"])
        # The next poll is far away: an observation has just been made.
        await until(lambda: _shown(run) is SiteWorkStatus.SUBMITTED)
        (submission,) = run.prolific.ledger.submissions.values()
        run.prolific.submissions.approve(submission)
        router.report_provider_event()
        await trio.sleep(NOTICED_SECONDS)
        assert _shown(run) is SiteWorkStatus.APPROVED
        assert [one.status for one in operator.ledger.state.agents.values()] == [AgentStatus.COMPLETED]
        assert router.unacknowledged == 0
        # Another process of the run makes no second subscriptions.
        await operator.runs.pause_run(live.task_run, "lunch", "me")
        await run.launch(2, resume_incomplete_run=True, prolific_webhooks=True)
        assert len(targets(run)) == 2
        await operator.runs.end_run(live.task_run, "enough", "me")
        assert targets(run) == []
        assert {one.status.value for one in operator.ledger.state.resources.values()} == {"released"}
        logged = [encode(recorded.envelope) for recorded in operator.ledger.log.read()]
        assert not any(secret.encode() in line for line in logged)


async def test_subscriptions_of_a_dead_process_are_released(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_site_run("prolific", tmp_path) as run:
        await run.launch(2, prolific_webhooks=True)
        (details,) = [
            one.details
            for one in run.harness.operator.ledger.state.resources.values()
            if one.resource_type == "prolific_webhooks"
        ]
        for _ in range(2):
            await run.provider_class.release(details)
            assert targets(run) == []


async def test_a_server_without_https_gets_no_webhooks(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_site_run("prolific", tmp_path) as run:
        with pytest.raises(LaunchError, match=r"https addresses only, and the page is at http://tasks\.example: set"):
            await run.launch(
                1,
                prolific_webhooks=True,
                prolific_external_study_url="http://tasks.example/?p={{%PROLIFIC_PID%}}",
            )
        assert targets(run) == []


def _shown(run: SiteRun) -> SiteWorkStatus | None:
    engagements = run.harness.operator.ledger.state.engagements.values()
    shown = [one.status for each in engagements for one in each.places.values() if one is not None]
    return shown[0] if shown else None
