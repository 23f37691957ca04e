"""The grant of credit at SONA as an effect: a second grant changes nothing, and its answer tells."""

from __future__ import annotations

from ....core.decisions.settlement import SETTLEMENTS, CrowdSite, Settlement, SiteOperation
from ....events.payment import Sighting
from ..api.errors import SiteRefusedError
from .answer import CreditAnswer
from .client import SITE, SonaClient

#: Answers after which the person has the credit.
_HAS_CREDIT = frozenset({CreditAnswer.GRANTED, CreditAnswer.ALREADY_RECEIVED})


class CreditRefusedError(SiteRefusedError):
    """SONA does not grant the credit.

    Attributes:
        answer: its reason.
    """

    def __init__(self, answer: CreditAnswer) -> None:
        self.answer = answer
        super().__init__(SITE, "grant credit", detail=answer.value)


class CreditGrant:
    """Credit for one person.

    Attributes:
        was_granted_elsewhere: True if the first answer that arrived said that the credit was there already, and no
            earlier request of ours can have granted it: somebody else did.
    """

    settlement: Settlement = SETTLEMENTS[CrowdSite.SONA, SiteOperation.BASE_PAY]

    def __init__(self, client: SonaClient, survey_code: str, *, was_sent_before: bool) -> None:
        """Keep the order.

        Args:
            client: the study.
            survey_code: the person's code.
            was_sent_before: True if a request was recorded earlier, whatever became of it.
        """
        self._client = client
        self._survey_code = survey_code
        self._was_sent_before = was_sent_before
        self.was_granted_elsewhere = False

    async def send(self, token: str) -> None:  # noqa: ARG002  # the state is the token
        """Grant the credit.

        Raises:
            CreditRefusedError: the person does not get it.
            SiteError: see `SonaClient.grant`.
        """
        was_sent_before, self._was_sent_before = self._was_sent_before, True
        answer = await self._client.grant(self._survey_code)
        if answer not in _HAS_CREDIT:
            raise CreditRefusedError(answer)
        self.was_granted_elsewhere = answer is CreditAnswer.ALREADY_RECEIVED and not was_sent_before

    async def look(self) -> Sighting:
        """Return that nobody can tell: no call shows credit without granting it."""
        return Sighting.CANNOT_TELL
