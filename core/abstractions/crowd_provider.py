"""The interface of crowd providers, which recruit workers and may pay them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from omegaconf import DictConfig

from ...events.engagement import PAID_THERE_STATUSES, SiteWorkStatus
from ..packet_data import ProviderData, WebhookKey
from .args import CrowdProviderArgs, RequesterArgs
from .crowd.effects import SiteEffect
from .crowd.site_work import SiteAccount, SiteWork, WorkOrder
from .crowd.visits import VisitTerms
from .resources import HoldsResources, Resources
from .shared_task_state import SharedTaskState


class CrowdProvider(HoldsResources, ABC):
    """A source of workers, for one run.

    Every provider has a page script, an address and an account's name; the other methods do nothing unless overridden.
    A provider whose site has an API also overrides those about the offer and the work. They are called by the run's
    reconciler, which compares what is wanted with what is there again and again, so each of them

    * asks for a state and not for a change: a second call with the same arguments changes nothing more;
    * may raise any error: the call is repeated later, with growing pauses.

    A provider that pays has the methods of `PaymentSite` or `PaymentProvider` too.

    Attributes:
        PROVIDER_TYPE: the name that selects this provider in a configuration.
        ArgsClass: the dataclass of its settings.
        RequesterArgsClass: the dataclass with which an account is registered.
        SHOWS_PROGRESS: whether pages may tell workers which of their units this one is; False if the provider
            offers each unit by itself, so that a worker does not know of others.
        REJECTED_WORK_HOLDS_PLACE: whether nobody else gets the place of rejected work.
        HIDES_RETURNED_WORK: whether the site may stop showing work that its worker has returned.
        SHOWS_WORK: whether the site shows its work to programs (`observe`).
        ARRIVAL_NOTE: how people come to the address that a launch prints, if it is of no use without something that the
            site adds; empty: it can be opened as it is.
        COMPLETED_BY_WORKER: what to do about work that was submitted here and is unfinished at the site, if no call
            completes it there (`WorkAction.COMPLETE`).
        COMPLETION_PAYS: whether work that is completed at the site is paid for by that, before any review.
        PAID_STAYS: what a reviewer reads who rejects work that the site has paid for already.
        NO_BONUS: what somebody reads who grants a bonus that the provider cannot pay; empty: it pays bonuses.
        MIRRORS_BLOCKS: whether the site can keep blocked workers away (`mirror_blocks`).
        POLL_SECONDS: the interval at which the reconciler observes the work at the site; None: there is no site to ask,
            and the reconciler does not run.
        PIECES_PER_CALL: pieces of work that the site shows in one call; a list of very many is observed less often.
        PAYMENTS_AT_A_TIME: workers whose payments may be requested at a time.
    """

    PROVIDER_TYPE: ClassVar[str]
    ArgsClass: ClassVar[type[CrowdProviderArgs]] = CrowdProviderArgs
    RequesterArgsClass: ClassVar[type[RequesterArgs]] = RequesterArgs
    SHOWS_PROGRESS: ClassVar[bool] = True
    REJECTED_WORK_HOLDS_PLACE: ClassVar[bool] = False
    HIDES_RETURNED_WORK: ClassVar[bool] = False
    SHOWS_WORK: ClassVar[bool] = True
    ARRIVAL_NOTE: ClassVar[str] = ""
    COMPLETED_BY_WORKER: ClassVar[str] = "its worker has to complete it at the provider"
    COMPLETION_PAYS: ClassVar[bool] = False
    PAID_STAYS: ClassVar[str] = (
        "the provider has approved the work already, and a rejection takes nothing back there: the worker keeps the pay"
    )
    NO_BONUS: ClassVar[str] = ""
    MIRRORS_BLOCKS: ClassVar[bool] = False
    POLL_SECONDS: ClassVar[float | None] = None
    PIECES_PER_CALL: ClassVar[int] = 200
    PAYMENTS_AT_A_TIME: ClassVar[int] = 1

    def __init__(self, args: DictConfig, shared_state: SharedTaskState, resources: Resources) -> None:
        """Keep the run's whole configuration, in which `args.provider` is the provider's part, and the rest."""
        self.args = args
        self.shared_state = shared_state
        self.resources = resources

    async def __aenter__(self) -> Self:
        """Open connections to the site. All other methods that wait are called within this context."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""

    @classmethod
    def check_settings(cls, args: DictConfig) -> None:
        """Check the settings of a run, without an account, a script or the site.

        Args:
            args: the whole configuration.

        Raises:
            ConfigError: a setting is wrong.
        """

    @classmethod
    def assert_task_args(cls, args: DictConfig, shared_state: SharedTaskState) -> None:  # noqa: ARG003 - for other providers
        """Check that work can be offered with this configuration, before anything is created.

        Raises:
            ConfigError: a setting is wrong or an account is missing.
        """
        cls.check_settings(args)

    @staticmethod
    def is_sandbox() -> bool:
        """Return whether workers are not really paid."""
        return False

    # The page -------------------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def requester_name(self) -> str:
        """Name of the account that offers the work."""

    @abstractmethod
    def get_wrapper_js_path(self) -> Path:
        """Return the script that tells the page who the worker is, with the four globals of `wrap_crowd_source.js`."""

    def page_settings(self) -> Mapping[str, object]:
        """Return what the script finds in the global `MEPHISTO_PROVIDER`, as JSON. Anybody can read it.

        The texts that it shows are in `MEPHISTO_TEXTS`, in the language of the run.
        """
        return {}

    @abstractmethod
    def worker_url(self, server_url: str) -> str:
        """Return the URL that a worker opens."""

    def visit_terms(self, page: ProviderData, now_seconds: float) -> VisitTerms:  # noqa: ARG002 - for providers with links
        """Return the terms under which a page that asks for work is let in.

        Args:
            page: what the page says.
            now_seconds: the wall clock, in seconds since the epoch.

        Raises:
            VisitRefusedError: it is not let in; nobody is registered.
        """
        return VisitTerms(page)

    def completion_code(self, worker_name: str) -> str | None:  # noqa: ARG002 - for providers with codes
        """Return the code that proves to the provider that a worker is done; None: it wants none."""
        return None

    @property
    def pays_for_screen_outs(self) -> bool:
        """True if the site itself pays those who do not pass the onboarding (`WorkAction.SCREEN_OUT`)."""
        return False

    # The offer ------------------------------------------------------------------------------------------------------

    async def setup_resources_for_task_run(self, server_url: str) -> None:
        """Prepare the run at the site. Workers may come from now on, or with the first `offer`.

        A run that is resumed calls it again: what an earlier process made is found by `Resources.held`.

        Raises:
            LaunchError: the provider refuses.
        """

    def webhook_key(self) -> WebhookKey | None:
        """Return how the run's routers recognize requests of the site; None: it sends none.

        Asked for after `setup_resources_for_task_run`. The requests go to `/provider_webhook` of the run's server, and
        each makes the reconciler observe the work soon.
        """
        return None

    async def offer(self, places: int) -> int:
        """Offer so many places in all, those that are taken included; start an offer that was withdrawn.

        Returns:
            The places that the site has now: more than were wanted if it cannot take any away.
        """
        return places

    async def is_offer_paused(self) -> bool:
        """Return whether the site shows the offer as paused, whoever has paused it.

        If we have not withdrawn it, somebody has paused it there, and `offer` is not called until a person wants that.
        """
        return False

    async def withdraw(self) -> None:
        """Admit nobody else until `offer` is called again. Those who hold a place keep it."""

    async def cleanup_resources_from_task_run(self) -> None:
        """Withdraw the run from the site for good, and release what it holds there. May be called more than once."""

    # The work -------------------------------------------------------------------------------------------------------

    async def observe(self) -> Sequence[SiteWork]:
        """Return all work of the run that the site shows."""
        return ()

    def listed_work(self, participant: str) -> SiteWork | None:  # noqa: ARG002 - for sites that show it to people alone
        """Return the completed work of a person whom somebody has found in a list on the site's pages.

        For sites that show no work to programs.

        Args:
            participant: the site's id of the person.

        Returns:
            The work; None: that is no id of the site's, or the site shows its work by itself.
        """
        return None

    def work_effect(self, order: WorkOrder) -> SiteEffect | None:  # noqa: ARG002 - for providers with a site
        """Return an action on a piece of work as an effect; None: the site has no such action."""
        return None

    @classmethod
    def rejection_problem(cls, reason: str | None) -> str | None:  # noqa: ARG003 - for providers with rules
        """Return why the site would refuse a rejection for this reason; None: it would not."""
        return None

    @classmethod
    def rejection_warning(cls, shown: SiteWorkStatus | None) -> str | None:
        """Return why a rejection has no effect at the site; None: it has one, or nothing is known.

        Args:
            shown: the status of the work at the site; None: it was not observed.
        """
        is_paid = shown in PAID_THERE_STATUSES or (cls.COMPLETION_PAYS and shown is SiteWorkStatus.SUBMITTED)
        return cls.PAID_STAYS if is_paid else None

    async def listed_workers(self, qualification: str | None) -> Collection[str] | None:  # noqa: ARG002 - for sites that show lists
        """Return the provider's names of all whom the site has in a list of workers; nothing is changed.

        Args:
            qualification: a name from `mirrored_qualifications`; None: the list of blocked workers.

        Returns:
            The names, those included whom somebody has put into the list there; None: the site does not show it.
        """
        return None

    async def mirror_blocks(self, blocked: Collection[str], unblocked: Collection[str]) -> None:
        """Have the site offer nothing to blocked workers; others whom somebody has excluded there stay excluded.

        It is recorded as intended before the call. Raise `ListRefusedError` if the site does not take the change, or
        `ListFrozenError` if it never will and nobody can do anything about it; after any other error the list is looked
        at, or the call is repeated.

        Args:
            blocked: the provider's names of all workers who are blocked.
            unblocked: names of workers who were blocked once, and are not any more.
        """

    def mirrored_qualifications(self) -> Collection[str]:
        """Return the names of the qualifications that the site is told of (`mirror_qualification`)."""
        return ()

    async def mirror_qualification(self, name: str, holders: Collection[str], former: Collection[str]) -> None:
        """Have the site know who has a qualification; others whom somebody has put into the list there stay in it.

        Recorded, and repeated after errors, as `mirror_blocks` is.

        Args:
            name: the qualification.
            holders: the provider's names of all workers who have it, with a value above zero.
            former: names of workers who had it once, and have not any more.
        """

    # The account ----------------------------------------------------------------------------------------------------

    @classmethod
    async def read_account(
        cls,
        args: DictConfig,  # noqa: ARG003 - for providers with a site
        reward_cents: int,  # noqa: ARG003
        places: int,  # noqa: ARG003
    ) -> SiteAccount | None:
        """Ask the site for the account of a configuration; nothing is changed.

        Args:
            args: the whole configuration.
            reward_cents: the reward for one unit.
            places: the number of units whose cost is asked for.

        Returns:
            What the site says; None: there is no site to ask.

        Raises:
            ConfigError: the account is not registered.
            MephistoError: the credentials are not accepted, or the site cannot be asked.
        """
        return None
