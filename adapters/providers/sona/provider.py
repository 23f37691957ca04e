"""Provides SONA Systems: students take part for credit, which our server grants once the work has arrived."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from omegaconf import MISSING, DictConfig

from ....core.abstractions.args import CrowdProviderArgs, RequesterArgs
from ....core.abstractions.crowd.effects import SiteEffect
from ....core.abstractions.crowd.site_work import SiteWork, WorkAction, WorkOrder
from ....core.abstractions.crowd.visits import VisitRefusedError, VisitTerms
from ....core.errors import ConfigError, LaunchError
from ....core.operations.configuration.money import cents
from ....core.operations.registry import register_mephisto_abstraction
from ....core.packet_data import ProviderData
from ....events.engagement import RefusalReason, SiteWorkStatus
from ..account_provider import AccountProvider
from ..accounts import RegisteredAccount
from ..api.errors import SiteError
from ..arrival_page import VisitEnd, VisitText, arrival_settings
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
class SonaProvider(AccountProvider[SonaClient]):
    """SONA Systems: one study, whose timeslots are set by hand, and credit instead of money."""

    PROVIDER_TYPE: ClassVar[str] = SITE
    SITE: ClassVar[str] = SITE
    ARRIVAL_NOTE: ClassVar[str] = (
        "enter the address as the study URL at SONA, which fills in each student's code: opened without one, the page "
        "gives no work"
    )
    ArgsClass: ClassVar[type[CrowdProviderArgs]] = SonaProviderArgs
    RequesterArgsClass: ClassVar[type[RequesterArgs]] = SonaRequesterArgs
    #: There is no list to observe; work that has no credit yet is asked for again at this interval.
    POLL_SECONDS: ClassVar[float | None] = 60.0
    SHOWS_WORK: ClassVar[bool] = False
    COMPLETION_PAYS: ClassVar[bool] = True
    PAID_STAYS: ClassVar[str] = (
        "SONA has granted the credit already, and a rejection does not take it back: ask the pool's staff"
    )

    NO_BONUS: ClassVar[str] = "SONA gives credit and pays no bonus"

    @classmethod
    def check_settings(cls, args: DictConfig) -> None:
        """Check everything about a run that can be checked without asking SONA.

        Raises:
            ConfigError: a setting is wrong, or the run promises money.
        """
        check_names(ArrivalNames(args.provider.sona_code_parameter))
        if cents(str(args.task.task_reward), key="mephisto.task.task_reward"):
            raise ConfigError(
                "SONA gives credit and no money",
                key="mephisto.task.task_reward",
                hint="Set mephisto.task.task_reward to 0; pay what you promise beside the credit by other means",
            )

    # The page -------------------------------------------------------------------------------------------------------

    def page_settings(self) -> Mapping[str, object]:
        """Return the name of the parameter, and the end of a visit."""
        names = ArrivalNames(self.args.provider.sona_code_parameter)
        end = VisitEnd(sentence=VisitText.SONA_CREDIT)
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

    def listed_work(self, participant: str) -> SiteWork | None:
        """Return the work of a student by the survey code that SONA's page of sign-ups shows."""
        try:
            code = read_survey_code([participant])
        except CodeRefusedError:
            return None
        return SiteWork(handle=code, participant=code, status=SiteWorkStatus.SUBMITTED)

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
