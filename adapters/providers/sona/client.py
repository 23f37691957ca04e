"""A client of SONA's call that grants credit for a study.

Documentation: https://www.sona-systems.com/researcher/server-side-completion-url-responses/. Built from it; not yet run
against a real site. There is no call for places, deadlines, rejections or money: these are set by hand at the site.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

import httpx

from ..api.calls import Repeat, SiteCall
from ..api.transport import SiteTransport, TransportLimits
from .answer import CreditAnswer, read_credit_answer
from .study import SERVER_PATH, SonaStudy

SITE = "sona"


class SonaClient:
    """One study at one SONA site; use it as an asynchronous context manager."""

    def __init__(
        self,
        study: SonaStudy,
        jitter: Callable[[], float],
        *,
        limits: TransportLimits = TransportLimits(),  # noqa: B008  # immutable
        carrier: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            study: the study, from its completion URL.
            jitter: gives numbers from 0 to 1.
            limits: bounds in seconds.
            carrier: what carries requests in place of the network.

        Raises:
            ConfigError: the site's address is not encrypted.
        """
        self._study = study
        self._transport = SiteTransport(
            SITE,
            study.site_url,
            headers={},
            secrets=[study.credit_token],
            jitter=jitter,
            limits=limits,
            carrier=carrier,
        )

    async def __aenter__(self) -> SonaClient:
        """Open the connections."""
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        await self._transport.__aexit__(kind, error, trace)

    async def grant(self, survey_code: str) -> CreditAnswer:
        """Grant a person credit for the study.

        A second grant changes nothing and answers `ALREADY_RECEIVED`. After an earlier try of ours whose answer was
        lost that is a success; without one, somebody else granted it.

        Args:
            survey_code: the person's code, from `read_survey_code`.

        Raises:
            EffectUnknownError: the credit may be granted; grant it again at any time.
            SiteThrottledError: the site was busy; grant it again later.
            SiteUnreachableError: no connection was made.
        """
        return await self._ask(survey_code, Repeat.THROTTLED)

    async def check(self) -> CreditAnswer:
        """Ask for credit without a code, which grants nothing.

        Returns:
            `CODE_MISSING` if site, experiment_id and credit_token are right; `WRONG_STUDY` if one is not. No document
            says that the site looks at the token first, so `CODE_MISSING` is a good sign and no proof.

        Raises:
            SiteError: the site did not answer in its own form.
        """
        return await self._ask("", Repeat.READ)

    async def _ask(self, survey_code: str, repeat: Repeat) -> CreditAnswer:
        return await self._transport.call(
            SiteCall(
                operation="grant credit" if survey_code else "check the study",
                method="GET",
                path=SERVER_PATH,
                query={
                    "experiment_id": self._study.experiment_id,
                    "credit_token": self._study.credit_token,
                    "survey_code": survey_code,
                },
                read=lambda http: read_credit_answer(http.body, survey_code),
                repeat=repeat,
                reads_every_status=True,
            )
        )
