"""Provides SONA Systems: students take part for credit, which our server grants once the work has arrived."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from omegaconf import MISSING, DictConfig

from ....core.abstractions.args import CrowdProviderArgs, RequesterArgs
from ....core.abstractions.crowd.effects import SiteEffect
from ....core.abstractions.crowd.site_work import SiteWork, WorkAction, WorkOrder
from ....core.abstractions.crowd.visits import VisitRefusedError, VisitTerms
from ....core.abstractions.crowd_provider import CrowdProvider
from ....core.abstractions.resources import Resources
from ....core.abstractions.shared_task_state import SharedTaskState
from ....core.errors import ConfigError, LaunchError
from ....core.operations.configuration.money import cents
from ....core.operations.registry import register_mephisto_abstraction
from ....core.packet_data import ProviderData
from ....events.engagement import RefusalReason
from ..accounts import RegisteredAccount, registered_account
from ..api.errors import SiteError
from ..arrival_page import WRAPPER_FILE, VisitEnd, arrival_settings
from ..effects import CalledEffect
from ..link.arrival import ArrivalNames, check_names
from .answer import CreditAnswer
from .client import SITE, SonaClient
from .effects import CreditGrant
from .study import CodeRefusedError, read_completion_url, read_survey_code


@dataclass
class SonaProviderArgs(CrowdProviderArgs):
    """Settings of a run for SONA."""

    sona_code_parameter: str = field(
        default="survey_code", metadata={"help": "Parameter of the study URL that holds %SURVEY_CODE%."}
    )


@dataclass
class SonaRequesterArgs(RequesterArgs):
    """Registration of a study at SONA."""

    completion_url: str = field(
        default=MISSING,
        metadata={"help": "The study's server-side completion URL, whole. It is a secret: it grants credit."},
    )


@register_mephisto_abstraction()
class SonaProvider(CrowdProvider):
    """SONA Systems: one study, whose timeslots are set by hand, and credit instead of money."""

    PROVIDER_TYPE: ClassVar[str] = SITE
    ArgsClass: ClassVar[type[CrowdProviderArgs]] = SonaProviderArgs
    RequesterArgsClass: ClassVar[type[RequesterArgs]] = SonaRequesterArgs
    #: There is no list to observe; work that has no credit yet is asked for again at this interval.
    POLL_SECONDS: ClassVar[float | None] = 60.0

    def __init__(self, args: DictConfig, shared_state: SharedTaskState, resources: Resources) -> None:
        super().__init__(args, shared_state, resources)
        self._account = registered_account(SITE, args.provider.requester_name)
        self._client = self.client_of(self._account)

    async def __aenter__(self) -> Self:
        """Open the connections to SONA."""
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self._client.__aexit__(kind, error, trace)

    @classmethod
    def assert_task_args(cls, args: DictConfig, shared_state: SharedTaskState) -> None:  # noqa: ARG003
        """Check the settings, and that the study is registered.

        Raises:
            ConfigError: a setting is wrong, the run promises money, or there is no study.
        """
        check_names(ArrivalNames(args.provider.sona_code_parameter))
        if cents(str(args.task.task_reward), key="mephisto.task.task_reward"):
            raise ConfigError(
                "SONA gives credit and no money",
                key="mephisto.task.task_reward",
                hint="Set it to 0; what you promise beside the credit has to be paid by other means",
            )
        cls.client_of(registered_account(SITE, args.provider.requester_name))

    # The page -------------------------------------------------------------------------------------------------------

    @property
    def requester_name(self) -> str:
        """The name of the registered study."""
        return self._account.name

    def get_wrapper_js_path(self) -> Path:
        """Return the script that reads the survey code from the address."""
        return WRAPPER_FILE

    def page_settings(self) -> Mapping[str, object]:
        """Return the name of the parameter, and the end of a visit."""
        names = ArrivalNames(self.args.provider.sona_code_parameter)
        end = VisitEnd(sentence="Thank you! Your work has arrived, and your credit will be granted.")
        return arrival_settings(SITE, names, end, work_is_worker=True, binds_browser=True)

    def worker_url(self, server_url: str) -> str:
        """Return the study URL to enter at SONA."""
        return f"{server_url}/?{self.args.provider.sona_code_parameter}=%SURVEY_CODE%"

    def visit_terms(self, page: ProviderData, now_seconds: float) -> VisitTerms:  # noqa: ARG002 - codes do not expire
        """Return the terms for a page: survey codes can be guessed, so one belongs to the browser that brings it first.

        Raises:
            VisitRefusedError: it is not a survey code, or the browser keeps nothing.
        """
        try:
            code = read_survey_code([page.worker_name])
        except CodeRefusedError as error:
            raise VisitRefusedError(RefusalReason.NOT_INVITED) from error
        if page.provider_session is None:
            raise VisitRefusedError(RefusalReason.NOT_INVITED)
        return VisitTerms(page, invitation=code)

    # The site -------------------------------------------------------------------------------------------------------

    async def setup_resources_for_task_run(self, server_url: str) -> None:  # noqa: ARG002 - it is entered by hand
        """Check that credit can be granted; the study itself is made by hand.

        Raises:
            LaunchError: SONA does not know the study, or cannot be asked.
        """
        try:
            answer = await self._client.check()
        except SiteError as error:
            raise LaunchError("provider", f"SONA could not be asked: {error}") from error
        if answer is CreditAnswer.WRONG_STUDY:
            raise LaunchError(
                "provider",
                "SONA does not know this study: a cloned study has another id and token. Register its own server-side "
                "completion URL with mephisto-es register",
            )

    async def observe(self) -> Sequence[SiteWork]:
        """Return nothing: no call shows who has credit."""
        return ()

    def work_effect(self, order: WorkOrder) -> SiteEffect | None:
        """Return the grant of credit for work that was submitted here; SONA has no other action."""
        if order.action is not WorkAction.COMPLETE:
            return None
        return CalledEffect(CreditGrant(self._client, order.handle, was_sent_before=True))

    @classmethod
    def client_of(cls, account: RegisteredAccount) -> SonaClient:
        """Return a client for a registered study.

        Raises:
            ConfigError: its completion URL cannot be used.
        """
        return SonaClient(read_completion_url(account.values.get("completion_url", "")), random.random)
