"""Prolific's calls about people: participant groups, messages, test participants."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from ...api.calls import Repeat, SiteCall, json_as, no_content, path_id
from ...api.transport import SiteTransport
from .answers import ProlificGroup, ProlificMember
from .listing import all_items


class _Members(msgspec.Struct, frozen=True):
    """A group's members after a change (`participant-groups/add-to-participant-group`)."""

    results: list[ProlificMember] = []


class _TestParticipant(msgspec.Struct, frozen=True):
    """A participant for test studies (`testing/create-test-participant`)."""

    participant_id: str


_read_group = json_as(ProlificGroup)
_read_members = json_as(_Members)
_read_test_participant = json_as(_TestParticipant)


class ProlificPeople:
    """Groups of participants, and messages to them."""

    def __init__(self, transport: SiteTransport) -> None:
        """Keep the connection."""
        self._transport = transport

    async def groups(self, workspace_id: str) -> list[ProlificGroup]:
        """Return a workspace's groups (`participant-groups/get-participant-groups`)."""
        query = {"workspace_id": workspace_id}
        return await all_items(
            self._transport, "list participant groups", "/api/v1/participant-groups/", ProlificGroup, query
        )

    async def create_group(
        self, workspace_id: str, name: str, participant_ids: Sequence[str] = (), description: str = ""
    ) -> ProlificGroup:
        """Make a group (`participant-groups/create-participant-group`).

        Raises:
            EffectUnknownError: look for its name among the groups before making it again.
        """
        fields = {
            "workspace_id": workspace_id,
            "name": name,
            "description": description,
            "participant_ids": list(participant_ids),
        }
        return await self._transport.call(
            SiteCall(
                operation="create a participant group",
                method="POST",
                path="/api/v1/participant-groups/",
                body=msgspec.json.encode(fields),
                read=_read_group,
                repeat=Repeat.THROTTLED,
            )
        )

    async def delete_group(self, group_id: str) -> None:
        """Delete a group (`participant-groups/delete-participant-group`)."""
        await self._transport.call(
            SiteCall(
                operation="delete a participant group",
                method="DELETE",
                path=f"/api/v1/participant-groups/{path_id(group_id)}/",
                read=no_content,
                repeat=Repeat.THROTTLED,
            )
        )

    async def members(self, group_id: str) -> list[str]:
        """Return the ids of a group's members (`participant-groups/get-participant-group-participants`)."""
        path = f"/api/v1/participant-groups/{path_id(group_id)}/participants/"
        members = await all_items(self._transport, "list a group's members", path, ProlificMember)
        return [member.participant_id for member in members]

    async def add_members(self, group_id: str, participant_ids: Sequence[str]) -> None:
        """Add people to a group; members stay members. A filter of a running study follows at once."""
        await self._change_members("POST", "add people to a group", group_id, participant_ids)

    async def remove_members(self, group_id: str, participant_ids: Sequence[str]) -> None:
        """Take people out of a group (`participant-groups/remove-from-participant-group`)."""
        await self._change_members("DELETE", "take people out of a group", group_id, participant_ids)

    async def update_members(self, group_id: str, wanted: Collection[str], unwanted: Collection[str]) -> None:
        """Add the wanted people who are missing, and remove the unwanted ones who are there; others stay."""
        members = set(await self.members(group_id))
        if missing := sorted(set(wanted) - members):
            await self.add_members(group_id, missing)
        if surplus := sorted(members & set(unwanted)):
            await self.remove_members(group_id, surplus)

    async def send_message(self, participant_id: str, study_id: str, text: str) -> None:
        """Send a message to one person about a study (`messages/send-message`).

        Raises:
            EffectUnknownError: it may have been sent. No call tells, so do not send it again.
        """
        await self._send("send a message", "/api/v1/messages/", participant_id, study_id, text)

    async def send_messages(self, participant_ids: Sequence[str], study_id: str, text: str) -> None:
        """Send the same message to many people (`messages/bulk-message-participants`).

        Raises:
            EffectUnknownError: it may have been sent. No call tells, so do not send it again.
        """
        await self._send("send messages", "/api/v1/messages/bulk/", list(participant_ids), study_id, text)

    async def create_test_participant(self, email: str) -> str:
        """Make a participant who can only take test studies, and return the id (`testing/create-test-participant`)."""
        made = await self._transport.call(
            SiteCall(
                operation="create a test participant",
                method="POST",
                path="/api/v1/researchers/participants/",
                body=msgspec.json.encode({"email": email}),
                read=_read_test_participant,
                repeat=Repeat.THROTTLED,
            )
        )
        return made.participant_id

    async def _change_members(self, method: str, operation: str, group_id: str, participant_ids: Sequence[str]) -> None:
        await self._transport.call(
            SiteCall(
                operation=operation,
                method=method,
                path=f"/api/v1/participant-groups/{path_id(group_id)}/participants/",
                body=msgspec.json.encode({"participant_ids": list(participant_ids)}),
                read=_read_members,
                repeat=Repeat.IDEMPOTENT,
            )
        )

    async def _send(self, operation: str, path: str, to: str | list[str], study_id: str, text: str) -> None:
        recipients = {"recipient_id": to} if isinstance(to, str) else {"ids": to}
        await self._transport.call(
            SiteCall(
                operation=operation,
                method="POST",
                path=path,
                body=msgspec.json.encode({**recipients, "study_id": study_id, "body": text}),
                read=no_content,
                repeat=Repeat.THROTTLED,
            )
        )
