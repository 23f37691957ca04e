"""Gives commands to the ledger: adds id, author and payloads."""

from __future__ import annotations

from .commands.base import Command, CommandRequest
from .commands.pending import PendingCommand
from .ledger import Ledger
from .ports import AppendResult, Ids, Payload

#: Author of what the operator decides by itself.
OPERATOR = "operator"


class CommandIssuer:
    """Issues commands of one author.

    A cancelled call does not withdraw its command.

    Raises (all methods):
        LogError: nothing was written, or it is not known whether it was.
    """

    def __init__(self, ledger: Ledger, ids: Ids, actor: str = OPERATOR) -> None:
        """Initialize.

        Args:
            ledger: executes the commands; its writer task is running.
            ids: source of command ids.
            actor: author of the commands, as the log records it.
        """
        self._ledger = ledger
        self._ids = ids
        self._actor = actor

    async def issue(
        self, command: Command, *payloads: Payload, command_id: str | None = None, actor: str | None = None
    ) -> AppendResult:
        """Issue a command and wait until its events are durable.

        Args:
            command: the command.
            payloads: bytes that the command refers to.
            command_id: names the command, so that it can be issued again and is still executed once; without it,
                each call is a new command.
            actor: author of this command, if it is another one.

        Raises:
            CommandRefusedError: the decision refused it; nothing was written.
        """
        return await self._ledger.execute(self._request(command, payloads, command_id, actor))

    async def issue_decided(self, command: Command, *payloads: Payload) -> PendingCommand:
        """Issue a command and wait until it is decided; it is durable at the latest with what is decided next."""
        return await self._ledger.submit_decided(self._request(command, payloads))

    def issue_nowait(
        self, command: Command, *payloads: Payload, command_id: str | None = None, actor: str | None = None
    ) -> PendingCommand:
        """Issue a command without waiting; arguments as those of `issue`."""
        return self._ledger.submit(self._request(command, payloads, command_id, actor))

    def _request(
        self, command: Command, payloads: tuple[Payload, ...], command_id: str | None = None, actor: str | None = None
    ) -> CommandRequest[Command]:
        return CommandRequest(
            id=command_id or self._ids.command_id(),
            actor=actor or self._actor,
            command=command,
            payloads=payloads,
            idempotent=command_id is not None,
        )
