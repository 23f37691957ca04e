"""Runs whose workers come through links, from the launch to the last code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from mephisto_es.adapters.architects.memory.router import MemoryRouter
from mephisto_es.adapters.providers.link.provider import (
    LinkProvider,
    LinkProviderArgs,
    completion_codes,
    invitation_signer,
)
from mephisto_es.core.decisions.refusals import refusal_text
from mephisto_es.core.errors import ConfigError
from mephisto_es.core.operations.run.live_task_run import LiveTaskRun
from mephisto_es.events.codec import encode
from mephisto_es.events.engagement import RefusalReason

from ....core.operations.operator_harness import HarnessTaskState, OperatorHarness, config, items, open_harness, until

#: Far away from the clock of the tests, which begins at 1,700,000,000.
LATER = 1_900_000_000


async def launch(harness: OperatorHarness, units: int = 3, **provider: object) -> LiveTaskRun:
    cfg = config()
    cfg.provider = LinkProviderArgs
    cfg.provider._provider_type = "link"
    for name, value in provider.items():
        cfg.provider[name] = value
    run = await harness.operator.launch_task_run_or_die(cfg, HarnessTaskState(data=items(units)))
    return harness.operator.get_running_task_runs()[run]


async def ask(router: MemoryRouter, name: str, **fields: object) -> dict[str, Any]:
    page = {"worker_name": name, "agent_registration_id": f"{name}-{name}", "provider_type": "link", **fields}
    return await router.request_agent(page)


async def come(router: MemoryRouter, invitation: str, session: str | None = "her browser") -> dict[str, Any]:
    return await ask(router, "invited", provider_proof=invitation, provider_session=session)


def refusal(details: dict[str, Any]) -> str | None:
    assert details["agent_id"] is None
    reason: str | None = details["failure_reason"]
    return reason


def workers(harness: OperatorHarness) -> int:
    return len(harness.operator.ledger.state.workers)


async def test_an_open_link_lets_in_whoever_has_an_id(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_harness(tmp_path) as harness:
        live = await launch(harness, participant_parameter="MW_ID", work_parameter="SLOT")
        assert live.worker_url.endswith("/?MW_ID=...&SLOT=...")
        router = harness.router(live)
        first, second = await ask(router, "ann"), await ask(router, "bob", provider_handle="slot 7")
        assert first["agent_id"]
        assert second["agent_id"]
        assert first["completion_code"] is None


async def test_an_open_link_can_be_full(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_harness(tmp_path) as harness:
        router = harness.router(await launch(harness, max_people=2))
        assert [bool((await ask(router, name))["agent_id"]) for name in ("ann", "bob")] == [True, True]
        assert refusal(await ask(router, "cem")) == refusal_text(RefusalReason.ENOUGH_PEOPLE)
        assert (await ask(router, "ann"))["agent_id"]


async def test_an_invitation_is_for_one_person_and_one_browser(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        live = await launch(harness, invitations_only=True)
        router, key = harness.router(live), harness.log.pseudonym_key
        signer = invitation_signer(key, live.task_run)
        invitation = signer.issue("ann@example.org", "serial 1", LATER)
        details = await come(router, invitation)
        assert details["agent_id"]
        assert (await come(router, invitation))["agent_id"] == details["agent_id"]
        assert refusal(await come(router, invitation, "another browser")) == refusal_text(RefusalReason.INVITATION_USED)
        renewed = signer.issue("ann@example.org", "serial 1", LATER + 1)
        assert (await come(router, renewed))["agent_id"] == details["agent_id"]
        logged = b"".join(encode(recorded.envelope) for recorded in harness.log.read())
        assert not any(secret in logged for secret in (b"ann@example", b"serial 1", b"her browser"))


async def test_whoever_has_no_invitation_is_not_even_registered(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        live = await launch(harness, invitations_only=True)
        router, key = harness.router(live), harness.log.pseudonym_key
        signer = invitation_signer(key, live.task_run)
        good = signer.issue("ann", "serial", LATER)
        not_invited = refusal_text(RefusalReason.NOT_INVITED)
        assert refusal(await ask(router, "ann")) == not_invited
        assert refusal(await come(router, good, None)) == not_invited
        other_run = invitation_signer(key, type(live.task_run)(99)).issue("ann", "serial", LATER)
        for wrong in ("", "x", f"{good}0", f"A{good}", other_run):
            assert refusal(await come(router, wrong)) == not_invited
        expired = signer.issue("ann", "serial", 1_600_000_000)
        assert refusal(await come(router, expired)) == refusal_text(RefusalReason.INVITATION_EXPIRED)
        assert workers(harness) == 0
        assert live.worker_pool.visits.refused == {
            RefusalReason.NOT_INVITED: 7,
            RefusalReason.INVITATION_EXPIRED: 1,
        }


async def test_a_code_is_told_once_the_work_is_submitted(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        url = "https://panel.example/done?id={participant}&c={code}"
        live = await launch(harness, completion_code=True, completion_url=url)
        completion = live.provider.page_settings()["completion"]
        assert completion == {
            "sentence": "visit.code",
            "url": url,
            "label": "visit.continue",
            "code": None,
            "isAutomatic": False,
            "hasCode": True,
        }
        router = harness.router(live)
        details = await ask(router, "ann")
        assert details["completion_code"] is None
        router.submit_task(details["agent_id"], {})
        await until(harness, lambda: "completed" in harness.statuses("agent"))
        code = (await ask(router, "ann"))["completion_code"]
        assert code == completion_codes(harness.log.pseudonym_key, live.task_run).code("ann")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"participant_parameter": "a b"}, "cannot be the name of a parameter"),
        ({"work_parameter": "participant"}, "have the same name"),
        ({"completion_url": "not an address"}, "is not a web address"),
        ({"completion_url": "https://panel.example/{code}"}, "people get no codes"),
        ({"max_people": -1}, "max_people cannot be negative"),
        ({"several_units": True, "work_parameter": "SLOT"}, "the site gives out each unit by itself"),
    ],
)
def test_settings_that_cannot_be_meant(settings: dict[str, object], problem: str) -> None:
    cfg = config()
    cfg.provider = LinkProviderArgs
    for name, value in settings.items():
        cfg.provider[name] = value
    with pytest.raises(ConfigError, match=problem):
        LinkProvider.assert_task_args(cfg, HarnessTaskState())


async def test_a_link_for_the_browser_alone(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_harness(tmp_path) as harness:
        live = await launch(harness, invitations_only=True, completion_url="https://panel.example/done")
        settings = live.provider.page_settings()
        assert (settings["proof"], settings["bindsBrowser"]) == ("invitation", True)
        assert live.worker_url.endswith("/?invitation=...")
        assert live.provider.requester_name == "link"
        assert settings["completion"]["isAutomatic"] is True  # type: ignore[index]  # it is an object


async def test_an_invited_person_takes_one_unit_after_the_other(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        live = await launch(harness, invitations_only=True, several_units=True, completion_url="https://panel.example/")
        router, signer = harness.router(live), invitation_signer(harness.log.pseudonym_key, live.task_run)
        invitation = signer.issue("ann", "serial", LATER)
        agents: list[str] = []
        for work in ("invited", "invited-2", "invited-3"):
            page = {"provider_proof": invitation, "provider_session": "her browser", "assignment_id": work}
            details = await ask(router, "invited", **page)
            agents.append(details["agent_id"])
            assert (await ask(router, "invited", **page))["agent_id"] == details["agent_id"], (
                "a reload is no other unit"
            )
            router.submit_task(details["agent_id"], {})
        assert len(set(agents)) == 3
        await until(harness, lambda: harness.statuses("agent") == {"completed": 3})
        assert workers(harness) == 1
        settings = live.provider.page_settings()
        assert settings["severalUnits"] is True
        assert settings["completion"]["isAutomatic"] is False  # type: ignore[index]  # it is an object


async def test_an_invitation_is_for_one_unit_unless_the_run_says_otherwise(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with open_harness(tmp_path) as harness:
        live = await launch(harness, invitations_only=True)
        router, signer = harness.router(live), invitation_signer(harness.log.pseudonym_key, live.task_run)
        invitation = signer.issue("ann", "serial", LATER)
        first = await come(router, invitation)
        page = {"provider_proof": invitation, "provider_session": "her browser", "assignment_id": "invited-2"}
        assert (await ask(router, "invited", **page))["agent_id"] == first["agent_id"]
