"""Provides CloudResearch Connect: a project for each run, whose places follow the units."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import ClassVar

from omegaconf import DictConfig

from ....core.abstractions.args import CrowdProviderArgs, RequesterArgs
from ....core.abstractions.crowd.effects import SiteEffect
from ....core.abstractions.crowd.payments import PaymentEffect, PaymentOrder
from ....core.abstractions.crowd.site_work import (
    ListFrozenError,
    ListRefusedError,
    SiteAccount,
    SiteWork,
    WorkAction,
    WorkOrder,
)
from ....core.abstractions.resources import Details, Resources
from ....core.abstractions.shared_task_state import SharedTaskState
from ....core.operations.registry import register_mephisto_abstraction
from ..account_provider import AccountProvider
from ..accounts import RegisteredAccount, registered_account
from ..api.errors import SiteError, SiteMissingError, SiteRefusedError
from ..arrival_page import arrival_settings
from ..effects import CalledEffect, SiteCalls, bring_about, repeated
from .answers import ConnectProjectStatus
from .assignments import ReviewLine
from .client import BASE_URL, SITE, ConnectClient
from .effects import NOT_FINISHED, AssignmentVerdict, ParticipantMessage, ProjectCreation, RejectionWithdrawal
from .observe import site_work
from .offer import NOT_OFFERING, PlacesAtConnect, close, pause, set_places
from .payments import connect_payment
from .project import (
    ARRIVAL_NAMES,
    check_settings,
    completion_code,
    page_url,
    project_request,
    project_targeting,
    visit_end,
)
from .project_request import ProjectChange
from .settings import ConnectProviderArgs, ConnectRequesterArgs

PROJECT = "connect_project"
FROZEN = (
    "Connect has frozen the project's lists at its launch: workers who were blocked since still see it, and get no "
    "work; the next project excludes them"
)


@register_mephisto_abstraction()
class ConnectProvider(AccountProvider[ConnectClient]):
    """CloudResearch Connect: one project for each run, one assignment for each unit."""

    PROVIDER_TYPE: ClassVar[str] = SITE
    SITE: ClassVar[str] = SITE
    ARRIVAL_NOTE: ClassVar[str] = (
        "people come from Connect, which adds their ids to the address: opened without them, the page gives no work"
    )
    BY_HAND: ClassVar[str] = "close it on Connect's pages"
    ArgsClass: ClassVar[type[CrowdProviderArgs]] = ConnectProviderArgs
    RequesterArgsClass: ClassVar[type[RequesterArgs]] = ConnectRequesterArgs
    RESOURCE_TYPES: ClassVar[tuple[str, ...]] = (PROJECT,)
    SHOWS_PROGRESS: ClassVar[bool] = False
    REJECTED_WORK_HOLDS_PLACE: ClassVar[bool] = True
    HIDES_RETURNED_WORK: ClassVar[bool] = True
    COMPLETED_BY_WORKER: ClassVar[str] = NOT_FINISHED
    MIRRORS_BLOCKS: ClassVar[bool] = True
    POLL_SECONDS: ClassVar[float | None] = 50.0
    #: One call lists all assignments of a project.
    PIECES_PER_CALL: ClassVar[int] = 10_000

    def __init__(self, args: DictConfig, shared_state: SharedTaskState, resources: Resources) -> None:
        super().__init__(args, shared_state, resources)
        self._code = completion_code(resources)
        self._url = ""
        #: False once we have launched or started the project: a pause is then not ours.
        self._may_start = True
        #: Blocked workers, whom the next project excludes.
        self._blocked: Sequence[str] = ()
        #: Those of them whom the present project excludes, as far as this process knows.
        self._excluded: frozenset[str] = frozenset()

    @classmethod
    def check_settings(cls, args: DictConfig) -> None:
        """Check everything about a project that can be checked without asking Connect.

        Raises:
            ConfigError: a setting is wrong, or the pay is too low.
        """
        check_settings(args)

    # The page -------------------------------------------------------------------------------------------------------

    def page_settings(self) -> Mapping[str, object]:
        """Return the names of Connect's parameters, and the completion code."""
        # Connect finds a person's work on a project by the person's id too, and has left the other out at times.
        return arrival_settings(SITE, ARRIVAL_NAMES, visit_end(self._code), work_is_worker=True)

    def worker_url(self, server_url: str) -> str:
        """Return the address of the project's page; Connect adds its parameters."""
        return page_url(self.args, server_url)

    # The offer ------------------------------------------------------------------------------------------------------

    async def setup_resources_for_task_run(self, server_url: str) -> None:
        """Make a project, or find the one of an earlier process; a project for another address is closed.

        Raises:
            LaunchError: Connect refuses, or cannot be asked.
        """
        self._url = page_url(self.args, server_url)
        for held in self.resources.held(PROJECT):
            if not held.is_acquired:
                await self._make(held.number, held.details, 1, was_sent=True)
            if held.is_acquired and not await self._exists(str(held.details["project"])):
                await self.resources.released(held.number, "Connect no longer has it")
            elif held.details.get("url") != self._url:
                await self._end(held.details)
                await self.resources.released(held.number, "the page has another address")
        if not self.resources.held(PROJECT):
            await self._make_next(1)

    async def _exists(self, project_id: str) -> bool:
        """Return False if the site does not have a project any more."""
        try:
            await self._client.projects.get(project_id)
        except SiteMissingError:
            return False
        return True

    async def _make_next(self, places: int) -> None:
        """Make a project that excludes the people of the run's earlier ones."""
        token = self.resources.new_secret()[:16]
        name = f"mephisto-es run {self.resources.task_run} {token}"
        before = [str(held.details["url"]) for held in self.resources.held(PROJECT, or_released=True)]
        details = {"account": self._account.name, "internal_name": name, "url": self._url or before[-1]}
        number = await self.resources.intend(PROJECT, details)
        await self._make(number, details, places, was_sent=False)

    async def _make(self, number: int, details: Details, places: int, *, was_sent: bool) -> None:
        request = project_request(
            self.args,
            code=self._code,
            internal_name=str(details["internal_name"]),
            url=str(details["url"]),
            places=places,
            excluded_people=self._excluded_people(),
            excluded_projects=self._project_ids(),
        )
        creation = ProjectCreation(self._client, request)
        try:
            await bring_about(creation, was_sent=was_sent)
        except SiteError as error:
            if not was_sent:
                await self.resources.failed(number, str(error))
            raise
        await self.resources.acquired(number, {"project": str(creation.project_id)})

    async def offer(self, places: int) -> int:
        """Raise the places of the project, and launch it; make a follow-up project if it takes no more."""
        found = await self._set_places(places)
        if found.missing:
            await self._make_next(found.missing)
            found = await self._set_places(places)
        self._may_start = False
        return found.total

    async def _set_places(self, places: int) -> PlacesAtConnect:
        return await set_places(self._client, self._project_ids(), places, may_start=self._may_start)

    async def is_offer_paused(self) -> bool:
        """Return whether the project is paused, or was closed by a person."""
        with suppress(SiteMissingError):
            for project_id in self._project_ids()[-1:]:
                return await self._client.projects.status(project_id) in NOT_OFFERING
        return False

    async def withdraw(self) -> None:
        """Pause the project."""
        for project_id in self._project_ids()[-1:]:
            await repeated(partial(pause, self._client, project_id))
        self._may_start = True

    async def cleanup_resources_from_task_run(self) -> None:
        """Close the projects; their assignments stay, and can be reviewed and paid."""
        for held in self.resources.held(PROJECT):
            await self._end(held.details)
            await self.resources.released(held.number, "the run is over")

    async def _end(self, details: Details) -> None:
        await _close_recorded(self._client, details)

    @classmethod
    async def release_with(cls, client: ConnectClient, details: Details) -> None:
        """Close a project that an earlier process left.

        Raises:
            SiteError: Connect refuses, or cannot be asked.
        """
        await _close_recorded(client, details)

    # The work -------------------------------------------------------------------------------------------------------

    async def observe(self) -> Sequence[SiteWork]:
        """Return the assignments of all projects of the run."""
        works: list[SiteWork | None] = []
        for project_id in self._project_ids():
            # A project that was never launched is archived when it is released, and may be gone.
            with suppress(SiteMissingError):
                listed = await self._client.assignments.of_project(project_id)
                works += [site_work(one, project_id) for one in listed]
        return [work for work in works if work is not None]

    def work_effect(self, order: WorkOrder) -> SiteEffect | None:
        """Return an action on an assignment as an effect; None: Connect has no such action."""
        calls = self._calls(order)
        return None if calls is None else CalledEffect(calls)

    def _calls(self, order: WorkOrder) -> SiteCalls | None:
        project = order.study or next(iter(self._project_ids()), None)
        if project is None:
            return None
        match order.action:
            case WorkAction.REJECT:
                return AssignmentVerdict(self._client, project, ReviewLine(order.handle, order.text), is_approved=False)
            case WorkAction.REVERSE_REJECTION:
                return RejectionWithdrawal(self._client, project, order.handle)
            case WorkAction.MESSAGE if order.participant is not None:
                subject = str(self.args.task.task_title)
                return ParticipantMessage(self._client, project, order.participant, subject, order.text)
            case _:
                return None

    @classmethod
    def rejection_problem(cls, reason: str | None) -> str | None:
        """Return why Connect would refuse a rejection for this reason."""
        return None if reason else "Connect shows the reason to the worker: reject it again with a note"

    async def mirror_blocks(self, blocked: Collection[str], unblocked: Collection[str]) -> None:  # noqa: ARG002 - lists only grow
        """Exclude blocked workers from the draft of a project, and from later projects of the run.

        Raises:
            ListFrozenError: the project was launched, and Connect has frozen its lists. Whoever is blocked later still
                sees it, and gets no work here.
            ListRefusedError: Connect does not take the list.
            SiteError: Connect cannot be asked.
        """
        self._blocked = sorted(blocked)
        if self._excluded.issuperset(blocked):
            return
        *earlier, present = self._project_ids()
        if await self._client.projects.status(present) is not ConnectProjectStatus.UNPUBLISHED:
            raise ListFrozenError(FROZEN)
        lists = project_targeting(self.args, excluded_people=self._excluded_people(), excluded_projects=earlier)
        try:
            await self._client.projects.change(present, ProjectChange(platform_targeting=lists))
        except SiteRefusedError as error:
            raise ListRefusedError(str(error)) from error
        self._excluded = frozenset(blocked)

    def payment_effect(self, order: PaymentOrder) -> PaymentEffect:
        """Return a payment as an effect: an approval, or a bonus that is told by the sum of bonuses.

        Raises:
            PaymentRefusedError: the assignment is unknown here.
        """
        return connect_payment(self._client, order)

    # The account ----------------------------------------------------------------------------------------------------

    @classmethod
    async def read_account(cls, args: DictConfig, reward_cents: int, places: int) -> SiteAccount | None:
        """Ask Connect for the balance and the cost of an order; nothing is changed.

        Raises:
            ConfigError: the account is not registered.
            SiteError: the key is not accepted, or Connect cannot be asked.
        """
        account = registered_account(SITE, args.provider.requester_name)
        async with cls.client_of(account) as client:
            minutes = args.provider.connect_estimated_time_in_minutes
            cost = None
            if reward_cents and places:
                quote = await client.quote(payment_cents=reward_cents, places=places, estimated_minutes=minutes)
                cost = quote.total_cost_cents
            return SiteAccount(
                name=f"account {account.name!r}",
                currency="USD",
                available_cents=await client.balance_cents(),
                cost_cents=cost,
            )

    @classmethod
    def client_of(cls, account: RegisteredAccount) -> ConnectClient:
        """Return a client for a registered account.

        Raises:
            ConfigError: its key or address cannot be used.
        """
        url = account.values.get("base_url", BASE_URL).rstrip("/")
        return ConnectClient(account.values.get("api_key", ""), random.random, base_url=url)

    def _excluded_people(self) -> list[str]:
        """Return the workers who would come in vain: blocked ones, and those who have reached the task's maximum."""
        return list(dict.fromkeys((*self._blocked, *self.resources.workers_at_limit(self.PROVIDER_TYPE))))

    def _project_ids(self) -> list[str]:
        """Return the ids of the run's projects, the latest last."""
        held = self.resources.held(PROJECT, or_released=True)
        return [str(one.details["project"]) for one in held if "project" in one.details]


async def _close_recorded(client: ConnectClient, details: Details) -> None:
    """Close the project of a recorded resource, if it exists.

    Raises:
        SiteError: Connect refuses, or cannot be asked.
    """
    if "project" in details:
        try:
            projects = [await client.projects.get(str(details["project"]))]
        except SiteMissingError:
            return
    else:
        projects = await client.projects.find(str(details["internal_name"]))
    for project in projects:
        await repeated(partial(close, client, project))
