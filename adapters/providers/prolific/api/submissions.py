"""Prolific's calls about submissions and their pay: list, complete, approve, reject, screen out, bonus.

A transition is idempotent by its documentation. Paying a bonus is not: the same set-up can be paid twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

import msgspec

from .....core.errors import ConfigError
from ...api.amounts import units_of
from ...api.calls import Repeat, SiteCall, json_as, no_content, path_id
from ...api.transport import SiteTransport
from .answers import ProlificBonusSetup, ProlificSubmission
from .listing import all_items

#: Shortest reason for a rejection (`submissions/transition-submission`).
MIN_REJECTION_LENGTH = 100
#: Recommended for one bulk approval (`submissions/bulk-approve-submissions`).
MAX_BULK_APPROVALS = 1000
#: People in one set-up of bonuses; not in the documentation, reported by other projects.
MAX_BONUSES = 200


class _ReturnRequest(msgspec.Struct, frozen=True):
    """The answer to the request for a return; its other fields can be null."""

    return_requested: str | None = None


_read_submission = json_as(ProlificSubmission)
_read_return_request = json_as(_ReturnRequest)
_read_setup = json_as(ProlificBonusSetup)


class SubmissionAction(Enum):
    """Actions on a submission. The documentation has the first three; the official client sends all."""

    APPROVE = "APPROVE"
    REJECT = "REJECT"
    COMPLETE = "COMPLETE"
    RETURN = "RETURN"
    UNREJECT = "UNREJECT"
    UNRETURN = "UNRETURN"
    SCREEN_OUT = "SCREEN_OUT"
    START = "START"


class RejectionCategory(Enum):
    """Reasons that a rejection must name."""

    TOO_QUICKLY = "TOO_QUICKLY"
    TOO_SLOWLY = "TOO_SLOWLY"
    FAILED_INSTRUCTIONS = "FAILED_INSTRUCTIONS"
    INCOMPLETE_LONGITUDINAL = "INCOMP_LONGITUDINAL"
    FAILED_CHECK = "FAILED_CHECK"
    LOW_EFFORT = "LOW_EFFORT"
    MALINGERING = "MALINGERING"
    NO_CODE = "NO_CODE"
    BAD_CODE = "BAD_CODE"
    NO_DATA = "NO_DATA"
    UNSUPPORTED_DEVICE = "UNSUPP_DEVICE"
    OTHER = "OTHER"


class BonusLine(NamedTuple):
    """One bonus of a set-up."""

    #: The submission's id; the participant's is allowed too, and ambiguous if there are several submissions.
    submission_id: str
    amount_cents: int


class ProlificSubmissions:
    """The submissions of an account's studies."""

    def __init__(self, transport: SiteTransport) -> None:
        """Keep the connection."""
        self._transport = transport

    async def of_study(self, study_id: str) -> list[ProlificSubmission]:
        """Return a study's submissions (`studies/get-study-submissions`)."""
        path = f"/api/v1/studies/{path_id(study_id)}/submissions/"
        return await all_items(self._transport, "list submissions", path, ProlificSubmission)

    async def get(self, submission_id: str) -> ProlificSubmission:
        """Return a submission (`submissions/get-submission`).

        Raises:
            SiteMissingError: there is none, or it is so new that the site does not show it yet.
        """
        return await self._transport.call(
            SiteCall(
                operation="read a submission",
                method="GET",
                path=f"/api/v1/submissions/{path_id(submission_id)}/",
                read=_read_submission,
                repeat=Repeat.READ,
            )
        )

    async def approve(self, submission_id: str) -> ProlificSubmission:
        """Approve a submission: the participant gets the reward."""
        return await self._transition(submission_id, SubmissionAction.APPROVE, {}, Repeat.IDEMPOTENT)

    async def reject(self, submission_id: str, category: RejectionCategory, message: str) -> ProlificSubmission:
        """Reject a submission. The site can answer with an error although it did it: read the status then.

        Raises:
            ConfigError: the message is too short.
        """
        if len(message) < MIN_REJECTION_LENGTH:
            raise ConfigError(
                f"the reason for a rejection has {len(message)} characters; Prolific wants {MIN_REJECTION_LENGTH}",
                hint="Say what was wrong, how you saw it, and what would have been right",
            )
        fields: dict[str, object] = {"message": message, "rejection_category": category}
        return await self._transition(submission_id, SubmissionAction.REJECT, fields, Repeat.IDEMPOTENT)

    async def complete(
        self, submission_id: str, code: str, *, percentage_of_reward: int | None = None
    ) -> ProlificSubmission:
        """Complete a submission from the server, with a code whose actor is the researcher.

        Args:
            submission_id: the submission.
            code: one of the study's codes; its actions follow.
            percentage_of_reward: the part that is paid, 8 to 99, if the code has the action DYNAMIC_PAYMENT.
        """
        fields: dict[str, object] = {"completion_code": code}
        if percentage_of_reward is not None:
            fields["completion_code_data"] = {"percentage_of_reward": percentage_of_reward}
        return await self._transition(submission_id, SubmissionAction.COMPLETE, fields, Repeat.IDEMPOTENT)

    async def reverse_rejection(self, submission_id: str) -> ProlificSubmission:
        """Take a rejection back. The documentation does not have this call, so it may be refused."""
        return await self._transition(submission_id, SubmissionAction.UNREJECT, {}, Repeat.NEVER)

    async def request_return(self, submission_id: str, reasons: Sequence[str]) -> str | None:
        """Ask the participant to return a submission (`submissions/request-submission-return`).

        Returns:
            The time of the request, as the site writes it. The submission's status changes when the person acts.

        Raises:
            EffectUnknownError: the message may have been sent; read `return_requested`.
        """
        requested = await self._transport.call(
            SiteCall(
                operation="request the return of a submission",
                method="POST",
                path=f"/api/v1/submissions/{path_id(submission_id)}/request-return/",
                body=msgspec.json.encode({"request_return_reasons": list(reasons)}),
                read=_read_return_request,
                repeat=Repeat.THROTTLED,
            )
        )
        return requested.return_requested

    async def approve_all(self, submission_ids: Sequence[str]) -> None:
        """Ask for the approval of many submissions (`submissions/bulk-approve-submissions`).

        The answer says that the request was accepted: read the statuses later. Send one batch after the other.

        Raises:
            ConfigError: there are too many for one request.
        """
        if len(submission_ids) > MAX_BULK_APPROVALS:
            raise ConfigError(f"at most {MAX_BULK_APPROVALS} submissions are approved in one request")
        await self._transport.call(
            SiteCall(
                operation="approve submissions in bulk",
                method="POST",
                path="/api/v1/submissions/bulk-approve/",
                body=msgspec.json.encode({"submission_ids": list(submission_ids)}),
                read=no_content,
                repeat=Repeat.THROTTLED,
            )
        )

    async def set_up_bonuses(self, study_id: str, bonuses: Sequence[BonusLine]) -> ProlificBonusSetup:
        """Prepare bonuses (`bonuses/create-bonus-payments`); nobody is paid by it. Record the id, then pay it once.

        Raises:
            ConfigError: there are too many for one request, or an amount cannot be paid.
            SiteRefusedError: `mentioned_ids` did not take part in the study.
            EffectUnknownError: an unpaid set-up may be left over, which is harmless.
        """
        if not 0 < len(bonuses) <= MAX_BONUSES:
            raise ConfigError(f"from 1 to {MAX_BONUSES} bonuses are paid in one request")
        lines = "\n".join(f"{bonus.submission_id},{units_of(bonus.amount_cents)}" for bonus in bonuses)
        return await self._transport.call(
            SiteCall(
                operation="set up bonuses",
                method="POST",
                path="/api/v1/submissions/bonus-payments/",
                body=msgspec.json.encode({"study_id": study_id, "csv_bonuses": lines}),
                read=_read_setup,
                repeat=Repeat.THROTTLED,
            )
        )

    async def pay_bonuses(self, setup_id: str) -> None:
        """Pay a set-up (`bonuses/pay-bonus-payments`). **Not idempotent**: a second call pays everyone again.

        Raises:
            SiteThrottledError: the site was busy. No document says that nothing was paid, so look before paying again.
            EffectUnknownError: look at each submission's bonuses; the payment takes minutes to show there.
        """
        await self._transport.call(
            SiteCall(
                operation="pay bonuses",
                method="POST",
                path=f"/api/v1/bulk-bonus-payments/{path_id(setup_id)}/pay/",
                body=b"{}",
                read=no_content,
                repeat=Repeat.NEVER,
            )
        )

    async def _transition(
        self, submission_id: str, action: SubmissionAction, fields: dict[str, object], repeat: Repeat
    ) -> ProlificSubmission:
        return await self._transport.call(
            SiteCall(
                operation=f"{action.value.lower()} a submission",
                method="POST",
                path=f"/api/v1/submissions/{path_id(submission_id)}/transition/",
                body=msgspec.json.encode({"action": action, **fields}),
                read=_read_submission,
                repeat=repeat,
            )
        )
