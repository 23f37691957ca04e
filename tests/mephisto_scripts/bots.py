"""Bots that work on a run in memory, and the provider that lets them in when a run is offered."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

import trio

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.architects.memory.router import MemoryRouter, PageGoneError
from mephisto_es.core.abstractions.args import CrowdProviderArgs
from mephisto_es.core.abstractions.crowd_provider import CrowdProvider
from mephisto_es.core.operations.registry import register_mephisto_abstraction

#: Seconds that a test may take.
LIMIT_SECONDS = 240
#: Seconds until a bot that was refused asks again.
PAUSE_SECONDS = 0.05

register_mephisto_abstraction()(MemoryArchitect)


@dataclass
class BotProviderArgs(CrowdProviderArgs):
    """Settings of the provider of bots."""


@dataclass
class Bot:
    """A worker who works until the run has ended."""

    name: str
    #: Works on a unit, and submits it.
    work: Callable[[MemoryRouter, str, Any], Awaitable[None]]
    #: Returns the answers to an onboarding.
    onboard: Callable[[MemoryRouter, str, Any], Awaitable[object]]

    async def run(self, router: MemoryRouter) -> None:
        """Work until the run has ended."""
        for visit in count():
            page = {
                "worker_name": self.name,
                "agent_registration_id": f"{visit}-{self.name}",
                "assignment_id": str(visit),
                "provider_type": BotProvider.PROVIDER_TYPE,
            }
            try:
                details = await router.request_agent(page)
                while str(details["agent_id"]).startswith("onboarding"):
                    token = details["agent_id"]
                    answers = await self.onboard(router, token, details["init_task_data"])
                    details = await router.submit_onboarding(token, answers)
                if details["agent_id"] is None:
                    # Refused for now: work is being evaluated, or there is none. The run's end closes its pages.
                    await trio.sleep(PAUSE_SECONDS)
                    continue
                await self.work(router, details["agent_id"], details["init_task_data"])
            except PageGoneError:
                return


@register_mephisto_abstraction()
class BotProvider(CrowdProvider):
    """A provider whose workers are bots."""

    PROVIDER_TYPE: ClassVar[str] = "bots"
    ArgsClass: ClassVar[type[CrowdProviderArgs]] = BotProviderArgs

    #: The bots of the next run.
    bots: ClassVar[list[Bot]] = []
    #: What a bot's own code raised.
    errors: ClassVar[list[BaseException]] = []

    @property
    def requester_name(self) -> str:
        """Return a name."""
        return "bots"

    def get_wrapper_js_path(self) -> Path:
        """Return any file."""
        return Path(__file__)

    def worker_url(self, server_url: str) -> str:
        """Return the address of the run."""
        return server_url

    async def setup_resources_for_task_run(self, server_url: str) -> None:
        """Let the bots in: each works in a task beside the operator's."""
        router = list(MemoryArchitect.routers.values())[-1]
        for bot in self.bots:
            trio.lowlevel.spawn_system_task(self._work, bot, router)

    @classmethod
    async def _work(cls, bot: Bot, router: MemoryRouter) -> None:
        try:
            with trio.fail_after(LIMIT_SECONDS):
                await bot.run(router)
        except (AssertionError, LookupError, TypeError, trio.TooSlowError) as error:
            cls.errors.append(error)
            signal.raise_signal(signal.SIGTERM)  # the run would wait for the bot
