"""The interface of channels, each of which connects the operator with one router."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable

import trio

from ..packets import Inbound, Outbound
from ..ports import Outage

#: Seconds within which a dead connection is noticed, unless a packet from it is still being handled.
SILENT_SECONDS = 20.0

OnChannelOpen = Callable[[str], None]
OnCatastrophicDisconnect = Callable[[str], None]
OnMessage = Callable[[str, Inbound], Awaitable[None]]


class Channel(ABC):
    """Moves packets between the operator and one router, without interpreting them.

    Attributes:
        channel_id: names the channel in callbacks and log lines.
    """

    def __init__(
        self,
        channel_id: str,
        on_channel_open: OnChannelOpen,
        on_catastrophic_disconnect: OnCatastrophicDisconnect,
        on_message: OnMessage,
    ) -> None:
        """Keep the callbacks.

        Args:
            channel_id: a name that no other channel of the run has.
            on_channel_open: called each time the router has accepted this operator; may send immediately.
            on_catastrophic_disconnect: called once when the channel gives up for good.
            on_message: awaited for each packet, in order; nothing more is read meanwhile.
        """
        self.channel_id = channel_id
        self.on_channel_open = on_channel_open
        self.on_catastrophic_disconnect = on_catastrophic_disconnect
        self.on_message = on_message

    @abstractmethod
    async def open(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Connect, and move packets until closed; started by `await nursery.start(channel.open)`.

        Reports started once the router has accepted this operator. A lost connection is opened again with bounded
        backoff. Cancellation closes the connection.

        Raises:
            ProtocolError: the router refuses this operator.
        """

    @abstractmethod
    def close(self) -> None:
        """Close for good; `open` returns soon after. May be called more than once."""

    @abstractmethod
    def is_alive(self) -> bool:
        """Return whether packets can be moved right now.

        A dead connection is noticed within `SILENT_SECONDS`, unless a packet from it is still being handled.

        False while a lost connection is being opened again, until the router has accepted this operator: pages may have
        moved to that router, which had no way to report them, so they are not taken for gone.
        """

    def outage(self) -> Outage | None:
        """Return how long the server has been out of reach; None if it is not, or if the channel cannot tell."""
        return None

    @abstractmethod
    def is_closed(self) -> bool:
        """Return whether the channel was closed, or has given up, for good."""

    @abstractmethod
    def enqueue_send(self, packet: Outbound) -> bool:
        """Send a packet as soon as possible, in order.

        Returns:
            True if the packet was accepted; False if there is no connection now, or the queue is full. That loses
            nothing: the router gets the current state when the channel opens again.
        """
