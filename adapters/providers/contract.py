"""The contract of crowd providers: suites for pytest that every provider passes, those of other packages included.

    class TestMySite(CrowdSiteContract):
        @asynccontextmanager
        async def stage(self) -> AsyncIterator[ProviderStage]:
            yield MyStage()

The suites call a provider as the reconciler does: again, when it raises.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import ClassVar, TypeVar

import msgspec
import pytest
import trio

from ...core.abstractions.crowd.payments import PaymentOrder, PaymentSite
from ...core.abstractions.crowd.site_work import FILLED_STATUSES, SiteWork, WorkAction, WorkOrder
from ...core.abstractions.crowd_provider import CrowdProvider
from ...core.abstractions.resources import Resources
from ...core.decisions.settlement import Attempts, NextStep, answer_after, before_step, next_step
from ...core.errors import MephistoError
from ...core.lifecycles.payment import BONUS, PAY
from ...core.lifecycles.resource import ResourceStatus
from ...events.engagement import SiteWorkStatus
from ...events.ids import AgentId, PaymentId, TaskRunId, UnitId, WorkerId
from ..architects.contract import ResourceBook

Result = TypeVar("Result")

SERVER_URL = "https://tasks.example"
#: Globals of the page script, which pages call.
GLOBALS = ("getWorkerName", "getAssignmentId", "getAgentRegistration", "handleSubmitToProvider")
#: Attempts at a call, and steps of a payment, after which something never succeeds.
MAX_ATTEMPTS, MAX_STEPS = 30, 40
RETRY_SECONDS = 1.0
#: Time that passes between two looks for a payment that may not show yet.
WAIT_SECONDS = 600.0


class ProviderStage(ABC):
    """A provider with its site, and people who take part."""

    @abstractmethod
    def make(self, resources: Resources) -> CrowdProvider:
        """Return a new provider of one run, as each process of the run makes it."""

    async def take_place(self, name: str) -> str | None:
        """Have somebody take a place and open the page.

        Args:
            name: the site's id of the person.

        Returns:
            The site's id of the work; None: there is no place for the person.
        """
        raise NotImplementedError

    async def give_back(self, handle: str) -> None:
        """Have a person return the work."""
        raise NotImplementedError

    async def finish(self, handle: str, provider: CrowdProvider) -> None:
        """Have a person do at the site what is left to do once the page has submitted the work, for instance a code."""
        raise NotImplementedError

    def pass_time(self, seconds: float) -> None:
        """Move the site's time forward: what it does in the background happens meanwhile."""

    def paid_cents(self, handle: str) -> tuple[int, int]:
        """Return the reward and the bonuses that a person has got, by the site's own books."""
        raise NotImplementedError


@pytest.mark.trio
class CrowdProviderContract:
    """The contract of every crowd provider."""

    limit_seconds: ClassVar[float] = 60

    def stage(self) -> AbstractAsyncContextManager[ProviderStage]:
        """Open a site, and whatever the provider needs to find its account."""
        raise NotImplementedError

    async def test_the_page_knows_who_came(self) -> None:
        """The script defines the four globals; the settings that it finds are JSON, and hold no credential."""
        async with self.stage() as stage, stage.make(ResourceBook()) as provider:
            script = provider.get_wrapper_js_path().read_text(encoding="utf-8")
            assert all(f"function {name}(" in script for name in GLOBALS)
            assert msgspec.json.encode(provider.page_settings())
            assert provider.worker_url(SERVER_URL).startswith("https://")
            assert provider.requester_name

    async def test_processes_of_a_run_agree(self) -> None:
        """Another process of the run tells pages the same."""
        async with self.stage() as stage:
            resources = ResourceBook()
            first, second = stage.make(resources), stage.make(resources)
            assert first.page_settings() == second.page_settings()
            assert first.worker_url(SERVER_URL) == second.worker_url(SERVER_URL)

    async def test_setting_up_and_cleaning_up_twice_is_harmless(self) -> None:
        """A run is set up again when it is resumed, and cleaned up again after a crash."""
        with trio.fail_after(self.limit_seconds):
            async with self.stage() as stage:
                resources = ResourceBook()
                for _ in range(2):
                    async with stage.make(resources) as provider:
                        await until_done(lambda one=provider: one.setup_resources_for_task_run(SERVER_URL))  # type: ignore[misc]  # bound now
                held = resources.count(ResourceStatus.ACQUIRED)
                assert held <= 1
                assert resources.count(ResourceStatus.INTENDED) == 0
                async with stage.make(resources) as provider:
                    for _ in range(2):
                        await until_done(provider.cleanup_resources_from_task_run)
                assert resources.count(ResourceStatus.ACQUIRED) == 0


@pytest.mark.trio
class CrowdSiteContract(CrowdProviderContract):
    """The contract of a provider whose site has an API: offer, work, payments."""

    #: The reward for a unit in the settings of `ProviderStage.make`.
    reward_cents: ClassVar[int] = 150

    async def test_places_are_an_absolute_number(self) -> None:
        """The same number twice is the same offer; a withdrawn offer starts again."""
        with trio.fail_after(self.limit_seconds):
            async with self.stage() as stage, stage.make(ResourceBook()) as provider:
                await until_done(lambda: provider.setup_resources_for_task_run(SERVER_URL))
                for _ in range(2):
                    assert await until_done(lambda: provider.offer(2)) >= 2
                assert await stage.take_place("anna") is not None
                for _ in range(2):
                    await until_done(provider.withdraw)
                assert await stage.take_place("bert") is None
                await until_done(lambda: provider.offer(2))
                assert await stage.take_place("bert") is not None
                assert await stage.take_place("cleo") is None
                assert await until_done(lambda: provider.offer(3)) >= 3
                assert await stage.take_place("cleo") is not None
                await until_done(provider.cleanup_resources_from_task_run)
                assert await stage.take_place("dora") is None

    async def test_work_is_observed(self) -> None:
        """Work is seen while it is done, once it is returned, and once it is submitted."""
        with trio.fail_after(self.limit_seconds):
            async with self.stage() as stage, stage.make(ResourceBook()) as provider:
                await until_done(lambda: provider.setup_resources_for_task_run(SERVER_URL))
                await until_done(lambda: provider.offer(2))
                returned, done = await stage.take_place("anna"), await stage.take_place("bert")
                assert returned is not None
                assert done is not None
                await stage.give_back(returned)
                shown = (await self._shown(provider)).get(returned.casefold())
                is_hidden = provider.HIDES_RETURNED_WORK
                assert shown.status is SiteWorkStatus.RETURNED if shown is not None else is_hidden
                await self._submit(stage, provider, done)
                work = (await self._shown(provider))[done.casefold()]
                assert work.status in FILLED_STATUSES
                assert work.participant is not None

    async def test_rewards_and_bonuses_are_paid_once(self) -> None:
        """A payment is settled by its rule, and a second look or process pays nothing more."""
        with trio.fail_after(self.limit_seconds * 60):
            async with self.stage() as stage, stage.make(ResourceBook()) as provider:
                await until_done(lambda: provider.setup_resources_for_task_run(SERVER_URL))
                await until_done(lambda: provider.offer(1))
                handle = await stage.take_place("anna")
                assert handle is not None
                await self._submit(stage, provider, handle)
                study = await self._study(provider)
                for purpose, cents in ((PAY, self.reward_cents), (BONUS, 30)):
                    await self._pay(stage, provider, _order(purpose, cents, handle, study))
                assert stage.paid_cents(handle) == (self.reward_cents, 30)
                shown = (await self._shown(provider))[handle.casefold()]
                assert (shown.status, int(shown.bonus_cents)) == (SiteWorkStatus.APPROVED, 30)

    async def test_blocked_workers_are_kept_away(self) -> None:
        """The same block twice is one block; a site that shows its list follows it after the launch too."""
        with trio.fail_after(self.limit_seconds):
            async with self.stage() as stage, stage.make(ResourceBook()) as provider:
                if not provider.MIRRORS_BLOCKS:
                    return
                await until_done(lambda: provider.setup_resources_for_task_run(SERVER_URL))
                for _ in range(2):
                    await until_done(lambda: provider.mirror_blocks({"anna"}, ()))
                shown = await until_done(lambda: provider.listed_workers(None))
                assert shown is None or "anna" in shown
                await until_done(lambda: provider.offer(2))
                assert await stage.take_place("anna") is None
                assert await stage.take_place("bert") is not None
                if shown is None:
                    return
                for _ in range(2):
                    await until_done(lambda: provider.mirror_blocks(set(), {"anna"}))
                assert await stage.take_place("anna") is not None

    async def test_the_site_knows_who_has_a_qualification(self) -> None:
        """The same holders twice are the same list; former holders leave it, and others stay in it."""
        with trio.fail_after(self.limit_seconds):
            async with self.stage() as stage, stage.make(ResourceBook()) as provider:
                await until_done(lambda: provider.setup_resources_for_task_run(SERVER_URL))
                for name in provider.mirrored_qualifications():
                    for holders, former in (({"anna", "bert"}, set[str]()), ({"bert"}, {"anna"})):
                        tell = partial(provider.mirror_qualification, name, holders, former)
                        for _ in range(2):
                            await until_done(tell)
                        shown = await until_done(partial(provider.listed_workers, name))
                        assert shown is None or set(shown) == holders

    async def test_what_a_dead_process_left_can_be_released(self) -> None:
        """The recorded details are enough, whether the log knows the outcome or not."""
        with trio.fail_after(self.limit_seconds):
            async with self.stage() as stage:
                resources = ResourceBook()
                async with stage.make(resources) as provider:
                    await until_done(lambda: provider.setup_resources_for_task_run(SERVER_URL))
                    await until_done(lambda: provider.offer(1))
                (held,) = resources.states.values()
                for _ in range(2):
                    await until_done(lambda: type(provider).release(held.details))
                assert await stage.take_place("anna") is None

    async def _submit(self, stage: ProviderStage, provider: CrowdProvider, handle: str) -> None:
        effect = provider.work_effect(WorkOrder(action=WorkAction.COMPLETE, handle=handle))
        if effect is None:
            await stage.finish(handle, provider)
            return
        for _ in range(MAX_ATTEMPTS):
            await effect.send("")
            work = (await self._shown(provider)).get(handle.casefold())
            if work is not None and work.status in FILLED_STATUSES:
                return
            await trio.sleep(RETRY_SECONDS)
        raise AssertionError("the work was never completed")

    async def _shown(self, provider: CrowdProvider) -> dict[str, SiteWork]:
        return {work.handle.casefold(): work for work in await until_done(provider.observe)}

    async def _study(self, provider: CrowdProvider) -> str | None:
        held = [one for kind in provider.RESOURCE_TYPES for one in provider.resources.held(kind)]
        ids = [str(value) for one in held for name, value in one.details.items() if name in {"study", "project"}]
        return ids[-1] if ids else None

    async def _pay(self, stage: ProviderStage, provider: CrowdProvider, order: PaymentOrder) -> None:
        """Settle a payment as the paymaster does, with the site's books for what only a person can tell."""
        assert isinstance(provider, PaymentSite)
        attempts, setup, before = Attempts(), None, stage.paid_cents(order.handle or "")
        passed = 0.0
        for number in range(MAX_STEPS):
            now = trio.current_time() + passed
            effect = provider.payment_effect(order._replace(setup=setup))
            step = next_step(effect.settlement, attempts, now)
            match step:
                case NextStep.SEND | NextStep.SEND_NEW_TOKEN | NextStep.SEND_SAME_TOKEN:
                    if attempts == Attempts():
                        setup = await until_done(effect.set_up)
                    known, attempts = attempts, before_step(step, attempts, now)
                    result = await effect.send(f"{order.purpose}-{number}")
                    attempts = msgspec.structs.replace(attempts, answer=answer_after(step, known, result.answer))
                case NextStep.LOOK | NextStep.WAIT:
                    if step is NextStep.WAIT:
                        stage.pass_time(WAIT_SECONDS)
                        passed += WAIT_SECONDS
                    if (sighting := await effect.look()) is not None:
                        looked_at = now if step is NextStep.LOOK else now + WAIT_SECONDS
                        attempts = msgspec.structs.replace(attempts, sighting=sighting, looked_at=looked_at)
                case NextStep.SETTLED:
                    return
                case _:
                    if stage.paid_cents(order.handle or "") != before:
                        return
                    attempts, setup = Attempts(), None
        raise AssertionError(f"the payment was never settled: {attempts}")


async def until_done(call: Callable[[], Awaitable[Result]]) -> Result:
    """Make a call, again while it raises an error of this package, and return its result."""
    for _ in range(MAX_ATTEMPTS - 1):
        try:
            return await call()
        except MephistoError:
            await trio.sleep(RETRY_SECONDS)
    return await call()


def _order(purpose: str, cents: int, handle: str, study: str | None) -> PaymentOrder:
    return PaymentOrder(
        token="token",
        worker=WorkerId(1),
        worker_name=None,
        amount_cents=cents,
        purpose=purpose,
        task_run=TaskRunId(1),
        payment=PaymentId(1 if purpose == PAY else 2),
        agent=AgentId(1),
        unit=UnitId(1),
        handle=handle,
        study=study,
    )
