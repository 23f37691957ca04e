"""Effects at Prolific: a study, an approval, a rejection, a bonus; each can be asked for and looked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from ....core.decisions.settlement import SETTLEMENTS, CrowdSite, Settlement, SiteOperation
from ....events.payment import Sighting
from .api.answers import ProlificSubmission, ProlificSubmissionStatus
from .api.client import ProlificClient
from .api.study_request import StudyRequest
from .api.submissions import RejectionCategory

#: Statuses that a submission has only while nobody has decided about it.
_UNDECIDED = frozenset(
    {
        ProlificSubmissionStatus.RESERVED,
        ProlificSubmissionStatus.ACTIVE,
        ProlificSubmissionStatus.AWAITING_REVIEW,
        ProlificSubmissionStatus.TIMED_OUT,
    }
)


class StudyCreation:
    """A draft of a study, known by its internal name."""

    settlement: Settlement = SETTLEMENTS[CrowdSite.PROLIFIC, SiteOperation.CREATE]

    def __init__(self, client: ProlificClient, study: StudyRequest) -> None:
        """Keep the study; its internal name is a token of ours."""
        self._client = client
        self._study = study
        #: The id of the draft, once it is known.
        self.study_id: str | None = None

    async def send(self, token: str) -> None:  # noqa: ARG002  # the internal name is the token
        """Make the draft."""
        self.study_id = (await self._client.studies.create(self._study)).id

    async def look(self) -> Sighting:
        """Look for the internal name among the studies."""
        found = await self._client.studies.find(self._study.internal_name, self._study.project)
        if found:
            self.study_id = found[-1].id
        return Sighting.THERE if found else Sighting.NOT_THERE


class SubmissionCompletion:
    """The completion of a submission by our server."""

    settlement: Settlement = SETTLEMENTS[CrowdSite.PROLIFIC, SiteOperation.BASE_PAY]

    def __init__(self, client: ProlificClient, submission_id: str, code: str) -> None:
        """Keep the submission, and a code whose actor is the researcher."""
        self._client = client
        self._submission_id = submission_id
        self._code = code

    async def send(self, token: str) -> None:  # noqa: ARG002  # a transition needs none
        """Complete it."""
        await self._client.submissions.complete(self._submission_id, self._code)

    async def look(self) -> Sighting:
        """Read the submission's status."""
        submission = await self._client.submissions.get(self._submission_id)
        is_open = submission.status in _UNDECIDED - {ProlificSubmissionStatus.AWAITING_REVIEW}
        return Sighting.NOT_THERE if is_open else Sighting.THERE


class RejectionReversal:
    """A rejection that is taken back, so that the submission can be approved."""

    settlement: Settlement = SETTLEMENTS[CrowdSite.PROLIFIC, SiteOperation.BASE_PAY]

    def __init__(self, client: ProlificClient, submission_id: str) -> None:
        """Keep the submission."""
        self._client = client
        self._submission_id = submission_id

    async def send(self, token: str) -> None:  # noqa: ARG002  # a transition needs none
        """Take the rejection back."""
        await self._client.submissions.reverse_rejection(self._submission_id)

    async def look(self) -> Sighting:
        """Read the submission's status."""
        submission = await self._client.submissions.get(self._submission_id)
        is_rejected = submission.status is ProlificSubmissionStatus.REJECTED
        return Sighting.NOT_THERE if is_rejected else Sighting.THERE


class SilentMessage:
    """A message to the participant of a submission, or the request to return it: nobody can look for one."""

    settlement: Settlement = SETTLEMENTS[CrowdSite.PROLIFIC, SiteOperation.MESSAGE]

    def __init__(self, send: Callable[[], Awaitable[object]]) -> None:
        """Keep the call that sends it."""
        self._send = send

    async def send(self, token: str) -> None:  # noqa: ARG002  # there are no tokens
        """Send it."""
        await self._send()

    async def look(self) -> Sighting:
        """Return that nobody can tell."""
        return Sighting.CANNOT_TELL


class SubmissionVerdict:
    """The approval of a submission, or its rejection."""

    settlement: Settlement = SETTLEMENTS[CrowdSite.PROLIFIC, SiteOperation.BASE_PAY]

    def __init__(
        self, client: ProlificClient, submission_id: str, rejection: tuple[RejectionCategory, str] | None = None
    ) -> None:
        """Keep the verdict.

        Args:
            client: the site.
            submission_id: the submission.
            rejection: category and message; None: it is approved.
        """
        self._client = client
        self._submission_id = submission_id
        self._rejection = rejection

    async def send(self, token: str) -> None:  # noqa: ARG002  # a transition needs none
        """Approve or reject."""
        if self._rejection is None:
            await self._client.submissions.approve(self._submission_id)
        else:
            await self._client.submissions.reject(self._submission_id, *self._rejection)

    async def look(self) -> Sighting:
        """Read the submission's status."""
        wanted = ProlificSubmissionStatus.REJECTED if self._rejection else ProlificSubmissionStatus.APPROVED
        return verdict_sighting(await self._client.submissions.get(self._submission_id), wanted)


class SubmissionBonus:
    """A bonus that is set up; paying it is the effect."""

    settlement: Settlement = SETTLEMENTS[CrowdSite.PROLIFIC, SiteOperation.BONUS]

    def __init__(
        self,
        client: ProlificClient,
        submission_id: str,
        setup_id: str,
        *,
        amount_cents: int,
        before_cents: int,
        fixed_reward_cents: int | None = None,
    ) -> None:
        """Keep the order.

        Args:
            client: the site.
            submission_id: the submission.
            setup_id: the set-up of this bonus alone, recorded before it is paid.
            amount_cents: the bonus.
            before_cents: the bonuses of the submission when it was set up, without a fixed screen-out reward.
            fixed_reward_cents: the study's fixed screen-out reward; None: it has none.
        """
        self._client = client
        self._submission_id = submission_id
        self._setup_id = setup_id
        self._amount_cents = amount_cents
        self._before_cents = before_cents
        self._fixed_reward_cents = fixed_reward_cents

    async def send(self, token: str) -> None:  # noqa: ARG002  # there are no tokens
        """Pay the set-up."""
        await self._client.submissions.pay_bonuses(self._setup_id)

    async def look(self) -> Sighting:
        """Compare the submission's bonuses with those before."""
        submission = await self._client.submissions.get(self._submission_id)
        now_cents = submission.bonus_without_screen_out_cents(self._fixed_reward_cents)
        return bonus_sighting(now_cents - self._before_cents, self._amount_cents)


def verdict_sighting(submission: ProlificSubmission, wanted: ProlificSubmissionStatus) -> Sighting:
    """Return if a verdict stands: a status that nobody knows, or another verdict, is for a person."""
    if submission.status is wanted:
        return Sighting.THERE
    return Sighting.NOT_THERE if submission.status in _UNDECIDED else Sighting.CANNOT_TELL


def bonus_sighting(more_cents: int, amount_cents: int) -> Sighting:
    """Return if a bonus was paid, from the cents that were paid since it was ordered."""
    if more_cents == amount_cents:
        return Sighting.THERE
    # Another sum was paid by hand, or by another order: nobody can tell which.
    return Sighting.NOT_THERE if more_cents == 0 else Sighting.CANNOT_TELL
