"""Provides Prolific: a study for each run, whose places follow the units."""

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
from ....core.abstractions.crowd.site_work import SiteAccount, SiteWork, WorkAction, WorkOrder
from ....core.abstractions.resources import Details, Resources
from ....core.abstractions.shared_task_state import SharedTaskState
from ....core.errors import LaunchError
from ....core.operations.logger_core import get_logger
from ....core.operations.registry import register_mephisto_abstraction
from ....core.packet_data import WebhookKey
from ..account_provider import AccountProvider
from ..accounts import RegisteredAccount, registered_account
from ..api.errors import SiteError, SiteMissingError
from ..arrival_page import arrival_settings
from ..effects import CalledEffect, SiteCalls, bring_about, repeated
from .api.answers import ProlificStudy, ProlificStudyStatus
from .api.client import BASE_URL, SITE, ProlificClient
from .api.submissions import MIN_REJECTION_LENGTH, RejectionCategory
from .effects import RejectionReversal, SilentMessage, StudyCreation, SubmissionCompletion, SubmissionVerdict
from .groups import OwnGroups
from .notifications import WEBHOOKS, StudyWebhooks, end_subscriptions, holds_subscriptions
from .observe import ProlificStudyPlaces
from .payments import prolific_payment
from .settings import ProlificProviderArgs, ProlificRequesterArgs
from .study import ARRIVAL_NAMES, StudyCodes, check_settings, page_url, screen_out_cents, study_request, visit_end
from .workspace import find_workspace

logger = get_logger(__name__)

STUDY = "prolific_study"


@register_mephisto_abstraction()
class ProlificProvider(AccountProvider[ProlificClient]):
    """Prolific: one study for each run, one submission for each unit."""

    PROVIDER_TYPE: ClassVar[str] = SITE
    SITE: ClassVar[str] = SITE
    ARRIVAL_NOTE: ClassVar[str] = (
        "people come from Prolific, which fills their ids into the address: opened without them, the page gives no work"
    )
    BY_HAND: ClassVar[str] = "stop it on Prolific's pages"
    ArgsClass: ClassVar[type[CrowdProviderArgs]] = ProlificProviderArgs
    RequesterArgsClass: ClassVar[type[RequesterArgs]] = ProlificRequesterArgs
    RESOURCE_TYPES: ClassVar[tuple[str, ...]] = (STUDY, WEBHOOKS)
    SHOWS_PROGRESS: ClassVar[bool] = False
    MIRRORS_BLOCKS: ClassVar[bool] = True
    POLL_SECONDS: ClassVar[float | None] = 45.0

    def __init__(self, args: DictConfig, shared_state: SharedTaskState, resources: Resources) -> None:
        super().__init__(args, shared_state, resources)
        self._codes = StudyCodes(resources)
        self._fixed_reward_cents = screen_out_cents(args)
        #: The study that is on offer; None before `setup_resources_for_task_run`.
        self._study_id: str | None = None
        #: False once we have published or started the study: a pause is then not ours.
        self._may_start = True
        self._groups = OwnGroups(self._client, args)
        self._webhooks = StudyWebhooks(self._client, resources, args)
        self._webhook_key: WebhookKey | None = None

    @classmethod
    def check_settings(cls, args: DictConfig) -> None:
        """Check everything about a study that can be checked without asking Prolific.

        Raises:
            ConfigError: a setting is wrong.
        """
        check_settings(args)

    # The page -------------------------------------------------------------------------------------------------------

    def page_settings(self) -> Mapping[str, object]:
        """Return the names of Prolific's parameters, and the end of a visit."""
        return arrival_settings(SITE, ARRIVAL_NAMES, visit_end(self.args, self._codes, base_url_of(self._account)))

    def worker_url(self, server_url: str) -> str:
        """Return the address of the study's page, with Prolific's placeholders."""
        return page_url(self.args, server_url)

    @property
    def pays_for_screen_outs(self) -> bool:
        """True if the study has a fixed reward for being screened out."""
        return self._fixed_reward_cents is not None

    # The offer ------------------------------------------------------------------------------------------------------

    async def setup_resources_for_task_run(self, server_url: str) -> None:
        """Make the draft of a study, or find the one of an earlier process; a study for another address is stopped.

        Raises:
            LaunchError: Prolific refuses, or cannot be asked.
        """
        url = page_url(self.args, server_url)
        for held in self.resources.held(STUDY):
            study_id = held.details.get("study")
            if not held.is_acquired:
                study_id = await self._make(held.number, held.details, was_sent=True)
            places = ProlificStudyPlaces(self._client, str(study_id))
            if not await places.exist():
                await self.resources.released(held.number, "Prolific no longer has it")
            elif held.details.get("url") == url:
                self._study_id = str(study_id)
            else:
                await places.stop()
                await self.resources.released(held.number, "the page has another address")
        if self._study_id is None:
            await self._make_next(url)
        if self.args.provider.prolific_webhooks:
            self._webhook_key = await self._webhooks.connect(self._account.name, url)

    async def _make_next(self, url: str) -> None:
        """Make the draft of a study whose page has an address."""
        token = self.resources.new_secret()[:16]
        name = f"mephisto-es run {self.resources.task_run} {token}"
        details = {"account": self._account.name, "internal_name": name, "url": url}
        number = await self.resources.intend(STUDY, details)
        self._study_id = await self._make(number, details, was_sent=False)

    def webhook_key(self) -> WebhookKey | None:
        """Return how the run's routers recognize requests of Prolific; None: it sends none."""
        return self._webhook_key

    async def _make(self, number: int, details: Details, *, was_sent: bool) -> str:
        """Make a draft, or find the one that an earlier request made; return its id.

        Raises:
            SiteError: Prolific refuses, or cannot be asked.
            LaunchError: there is no such workspace, or the pay is too low.
        """
        try:
            workspace = await find_workspace(self._client, self.args)
            request = study_request(
                self.args,
                self._codes,
                internal_name=str(details["internal_name"]),
                url=str(details["url"]),
                project_id=await workspace.project_id(),
                allow_group=await workspace.allow_group_id(),
                block_group=await workspace.block_group_id(),
                excluded_people=self.resources.workers_at_limit(self.PROVIDER_TYPE),
            )
            creation = StudyCreation(self._client, request)
            await bring_about(creation, was_sent=was_sent)
        except (SiteError, LaunchError) as error:
            if not was_sent:
                await self.resources.failed(number, str(error))
            raise
        await self.resources.acquired(number, {"study": str(creation.study_id)})
        return str(creation.study_id)

    async def offer(self, places: int) -> int:
        """Raise the places of the study, and publish or start it; those taken in earlier studies count, too."""
        found = await self._set_places(places)
        if found is None:
            await self._follow_up()
            found = await self._set_places(places)
        if found is None:
            raise LaunchError("provider", "Prolific does not start the study that was made for this run")
        self._may_start = False
        return found

    async def _set_places(self, places: int) -> int | None:
        """Offer places and return how many there are for good; None if the study was stopped."""
        present = self._places()
        earlier = await self._earlier_studies()
        taken = sum(one.places_taken for one in earlier)
        total = await present.set_places(max(places - taken, 1), may_start=self._may_start)
        # People may yet leave a study that is not completed: its places are not counted, and the number is set again.
        done = (one.places_taken for one in earlier if one.status is ProlificStudyStatus.COMPLETED)
        return None if total is None else total + sum(done)

    async def _follow_up(self) -> None:
        """Make another study in place of one that was stopped, by a person or by an operator that died just then."""
        for held in self.resources.held(STUDY):
            if held.details.get("study") == self._study_id:
                await self.resources.released(held.number, "it was stopped and admits nobody")
                logger.warning("the study at Prolific was stopped; another one is made for the rest of the run")
                await self._make_next(str(held.details["url"]))

    async def _earlier_studies(self) -> list[ProlificStudy]:
        """Return the run's studies before the one on offer."""
        studies: list[ProlificStudy] = []
        for held in self.resources.held(STUDY, or_released=True):
            study_id = held.details.get("study")
            if study_id is not None and study_id != self._study_id:
                # A draft that was never published is deleted when it is released.
                with suppress(SiteMissingError):
                    studies.append(await self._client.studies.get(str(study_id)))
        return studies

    async def is_offer_paused(self) -> bool:
        """Return whether the study is paused."""
        with suppress(SiteMissingError):
            return await self._places().is_paused()
        return False

    async def withdraw(self) -> None:
        """Pause the study."""
        self._may_start = True
        for held in self.resources.held(STUDY):
            if "study" in held.details:
                with suppress(SiteMissingError):
                    await repeated(ProlificStudyPlaces(self._client, str(held.details["study"])).withdraw)

    async def cleanup_resources_from_task_run(self) -> None:
        """Stop the study; its submissions stay, and can be reviewed and paid."""
        for held in self.resources.held(STUDY):
            await _stop(self._client, held.details)
            await self.resources.released(held.number, "the run is over")
        await self._webhooks.disconnect()

    @classmethod
    async def release_with(cls, client: ProlificClient, details: Details) -> None:
        """Stop a study, or end subscriptions, that an earlier process left.

        Raises:
            SiteError: Prolific refuses, or cannot be asked.
        """
        await (end_subscriptions if holds_subscriptions(details) else _stop)(client, details)

    # The work -------------------------------------------------------------------------------------------------------

    async def observe(self) -> Sequence[SiteWork]:
        """Return the submissions of all studies of the run."""
        works: list[SiteWork] = []
        for study in self.resources.held(STUDY, or_released=True):
            if "study" not in study.details:
                continue
            places = ProlificStudyPlaces(self._client, str(study.details["study"]), self._fixed_reward_cents)
            # A draft that was never published is deleted when it is released.
            with suppress(SiteMissingError):
                works += await places.observe()
        return works

    def work_effect(self, order: WorkOrder) -> SiteEffect | None:
        """Return an action on a submission as an effect; None: it is not possible with the run's settings."""
        calls = self._calls(order)
        return None if calls is None else CalledEffect(calls)

    def _calls(self, order: WorkOrder) -> SiteCalls | None:
        client, handle = self._client, order.handle
        match order.action:
            case WorkAction.COMPLETE:
                return SubmissionCompletion(client, handle, self._codes.server)
            case WorkAction.SCREEN_OUT if self._fixed_reward_cents is not None:
                return SubmissionCompletion(client, handle, self._codes.screen_out)
            case WorkAction.REJECT:
                return SubmissionVerdict(client, handle, rejection_of(order.text))
            case WorkAction.REVERSE_REJECTION:
                return RejectionReversal(client, handle)
            case WorkAction.REQUEST_RETURN:
                return SilentMessage(partial(client.submissions.request_return, handle, [order.text]))
            case WorkAction.MESSAGE if order.participant is not None:
                study = order.study or self._study_id or ""
                return SilentMessage(partial(client.people.send_message, order.participant, study, order.text))
            case _:
                return None

    @classmethod
    def rejection_problem(cls, reason: str | None) -> str | None:
        """Return why Prolific would refuse a rejection for this reason."""
        message = rejection_of(reason or "")[1]
        if len(message) >= MIN_REJECTION_LENGTH:
            return None
        return (
            f"Prolific wants a reason of at least {MIN_REJECTION_LENGTH} characters, and this one has {len(message)}: "
            "say what was wrong, how you saw it, and what would have been right"
        )

    async def listed_workers(self, qualification: str | None) -> Collection[str]:
        """Return the members of the participant group of blocked workers, or of those with a qualification."""
        return await self._groups.members(self._group_name(qualification))

    async def mirror_blocks(self, blocked: Collection[str], unblocked: Collection[str]) -> None:
        """Bring the participant group of blocked workers up to date; studies on offer follow at once."""
        await self._groups.update(self._group_name(None), blocked, unblocked)

    def mirrored_qualifications(self) -> Collection[str]:
        """Return the qualifications that participant groups follow."""
        return [str(name) for name in self.args.provider.prolific_qualification_groups]

    async def mirror_qualification(self, name: str, holders: Collection[str], former: Collection[str]) -> None:
        """Bring the participant group of a qualification up to date; studies on offer follow at once."""
        await self._groups.update(self._group_name(name), holders, former)

    def _group_name(self, qualification: str | None) -> str:
        provider = self.args.provider
        if qualification is None:
            return str(provider.prolific_block_list_group_name)
        return str(provider.prolific_qualification_groups[qualification])

    def payment_effect(self, order: PaymentOrder) -> PaymentEffect:
        """Return a payment as an effect: the reward is paid by an approval, a bonus in two steps.

        Raises:
            PaymentRefusedError: the submission is unknown here.
        """
        return prolific_payment(self._client, order, self._fixed_reward_cents)

    # The account ----------------------------------------------------------------------------------------------------

    @classmethod
    async def read_account(cls, args: DictConfig, reward_cents: int, places: int) -> SiteAccount | None:
        """Ask Prolific for the workspace's money, the cost of an order and the least pay; nothing is changed.

        Raises:
            ConfigError: the account is not registered.
            SiteError: the token is not accepted, or Prolific cannot be asked.
            LaunchError: there is no such workspace.
        """
        async with cls.client_of(registered_account(SITE, args.provider.requester_name)) as client:
            workspace = await find_workspace(client, args)
            balance = await client.accounts.balance(workspace.id)
            cost = await client.accounts.calculate_cost_cents(reward_cents, places) if reward_cents and places else None
            return SiteAccount(
                name=f"workspace {workspace.title!r}",
                currency=balance.currency_code,
                available_cents=balance.available_cents,
                cost_cents=cost,
                minimum_hourly_cents=await workspace.minimum_hourly_cents() or None,
                estimated_minutes=args.provider.prolific_estimated_completion_time_in_minutes,
            )

    @classmethod
    def client_of(cls, account: RegisteredAccount) -> ProlificClient:
        """Return a client for a registered account.

        Raises:
            ConfigError: its token or address cannot be used.
        """
        return ProlificClient(account.values.get("api_key", ""), random.random, base_url=base_url_of(account))

    def _places(self) -> ProlificStudyPlaces:
        """Return the places of the study that is on offer: that of this process, or the one that the log has.

        Raises:
            LaunchError: there is none yet.
        """
        held = (one.details.get("study") for one in self.resources.held(STUDY))
        self._study_id = self._study_id or next((str(study) for study in held if study is not None), None)
        if self._study_id is None:
            raise LaunchError("provider", "the run has no study at Prolific yet")
        return ProlificStudyPlaces(self._client, self._study_id, self._fixed_reward_cents)


def base_url_of(account: RegisteredAccount) -> str:
    """Return the address of the API that an account is registered at."""
    return account.values.get("base_url", BASE_URL).rstrip("/")


def rejection_of(reason: str) -> tuple[RejectionCategory, str]:
    """Return the category and the message of a rejection; the reason may begin with `CATEGORY: `."""
    name, colon, rest = reason.partition(":")
    found = RejectionCategory.__members__.get(name.strip().upper()) if colon else None
    return (RejectionCategory.OTHER, reason.strip()) if found is None else (found, rest.strip())


async def _stop(client: ProlificClient, details: Details) -> None:
    """Stop the study of a recorded resource, wherever it is.

    Raises:
        SiteError: Prolific refuses, or cannot be asked.
    """
    ids = [str(details["study"])] if "study" in details else []
    if not ids:
        ids = [study.id for study in await client.studies.find(str(details["internal_name"]))]
    for study_id in ids:
        try:
            await repeated(ProlificStudyPlaces(client, study_id).stop)
        except SiteMissingError:
            continue
