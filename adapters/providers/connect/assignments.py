"""Connect's calls about people's work: list, approve, reject, reverse, bonus, message.

`approve-all` is left out on purpose: it also approves what no reviewer has seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from ....core.errors import ConfigError
from ..api.calls import Repeat, SiteCall, json_as, no_content, path_id
from ..api.transport import SiteTransport
from .answers import ConnectAssignment
from .project_request import dollars
from .projects import token_header


class ReviewLine(NamedTuple):
    """One assignment of a review."""

    #: The assignment's id; the participant's is allowed too.
    id: str
    #: Shown to the person.
    message: str = ""


class BonusGrant(NamedTuple):
    """One bonus of a request."""

    #: The assignment's id; the participant's is allowed too.
    id: str
    amount_cents: int
    #: Shown to the person.
    message: str = ""


class _List(msgspec.Struct, frozen=True):
    assignments: list[ConnectAssignment] | None = None


_read_list = json_as(_List)
_encode = msgspec.json.Encoder(decimal_format="number").encode


class ConnectAssignments:
    """The work on an account's projects. Each call that changes something takes a token that was never sent before."""

    def __init__(self, transport: SiteTransport) -> None:
        """Keep the connection."""
        self._transport = transport

    async def of_project(self, project_id: str) -> list[ConnectAssignment]:
        """Return a project's assignments (`List assignments`)."""
        listed = await self._transport.call(
            SiteCall(
                operation="list assignments",
                method="GET",
                path=f"/api/v1/assignments/{path_id(project_id)}",
                read=_read_list,
                repeat=Repeat.READ,
            )
        )
        return listed.assignments or []

    async def approve(self, project_id: str, lines: Sequence[ReviewLine], token: str | None = None) -> None:
        """Approve assignments (`Approve assignments`); an approval is final.

        Raises:
            EffectUnknownError: read the statuses before asking again, then with a new token.
        """
        await self._review("approve assignments", project_id, "approve", lines, token)

    async def reject(self, project_id: str, lines: Sequence[ReviewLine], token: str | None = None) -> None:
        """Reject assignments, each with a message (`Reject assignments`); money and fee come back to the balance.

        Raises:
            ConfigError: a message is missing.
            EffectUnknownError: read the statuses before asking again, then with a new token.
        """
        if not all(line.message.strip() for line in lines):
            raise ConfigError("Connect wants a message for each rejection", hint="Say what was wrong with the work")
        await self._review("reject assignments", project_id, "reject", lines, token)

    async def reverse_rejection(self, project_id: str, lines: Sequence[ReviewLine], token: str | None = None) -> None:
        """Approve assignments that were rejected (`Reverse rejections`); the balance must suffice.

        Raises:
            EffectUnknownError: read the statuses before asking again, then with a new token.
        """
        await self._review("reverse rejections", project_id, "reverse-reject", lines, token)

    async def bonus(self, project_id: str, grants: Sequence[BonusGrant], token: str | None = None) -> None:
        """Pay bonuses, all of them or none (`Bonus assignments`).

        Raises:
            SiteRefusedError: the balance is too small, and nobody was paid; or the token was seen before.
            EffectUnknownError: compare each assignment's bonus with the sum before the call.
        """
        payments = [
            {"id": grant.id, "amount": dollars(grant.amount_cents), "message": grant.message} for grant in grants
        ]
        await self._change("pay bonuses", f"{self._path(project_id)}/bonus", {"bonusPayment": payments}, token)

    async def send_message(self, project_id: str, participant_id: str, subject: str, text: str, token: str) -> None:
        """Send a message to one person.

        Raises:
            EffectUnknownError: it may have been sent. Within 24 hours the same token is refused if it was seen.
        """
        fields = {"projectId": project_id, "recipientId": participant_id, "subject": subject, "message": text}
        await self._change("send a message", "/api/v1/conversations/send-message", fields, token)

    async def send_messages(
        self, project_id: str, participant_ids: Sequence[str], subject: str, text: str, token: str
    ) -> None:
        """Send the same message to many people.

        Raises:
            EffectUnknownError: it may have been sent. Within 24 hours the same token is refused if it was seen.
        """
        fields = {
            "projectId": project_id,
            "participantIds": list(participant_ids),
            "subject": subject,
            "message": text,
        }
        await self._change("send messages", "/api/v1/conversations/send-bulk-message", fields, token)

    async def _review(
        self, operation: str, project_id: str, verb: str, lines: Sequence[ReviewLine], token: str | None
    ) -> None:
        if not lines:
            raise ConfigError("Connect reviews at least one assignment at a time")
        people = [{"id": line.id, "message": line.message} for line in lines]
        await self._change(operation, f"{self._path(project_id)}/{verb}", {"participants": people}, token)

    async def _change(self, operation: str, path: str, fields: Mapping[str, object], token: str | None) -> None:
        await self._transport.call(
            SiteCall(
                operation=operation,
                method="POST",
                path=path,
                body=_encode(fields),
                headers=token_header(token),
                read=no_content,
            )
        )

    @staticmethod
    def _path(project_id: str) -> str:
        return f"/api/v1/assignments/{path_id(project_id)}"
