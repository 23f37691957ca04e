"""The operator's connection to one router."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable

import trio

from ..packets import Inbound, Outbound

OnChannelOpen = Callable[[str], None]
OnCatastrophicDisconnect = Callable[[str], None]
OnMessage = Callable[[str, Inbound], Awaitable[None]]


class Channel(ABC):
    """Moves packets between the operator and one router; knows nothing of what they mean.

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
            on_channel_open: called each time the router has taken us for its operator; may send at once.
            on_catastrophic_disconnect: called once when the channel gives up for good.
            on_message: awaited for each packet, in order; while it waits nothing more is read.
        """
        self.channel_id = channel_id
        self.on_channel_open = on_channel_open
        self.on_catastrophic_disconnect = on_catastrophic_disconnect
        self.on_message = on_message

    @abstractmethod
    async def open(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Connect, and move packets until closed; started by `await nursery.start(channel.open)`.

        Reports started once the router has taken us for its operator. A lost connection is opened again with
        bounded backoff. Cancellation closes the connection.

        Raises:
            ProtocolError: the router refuses us.
        """

    @abstractmethod
    def close(self) -> None:
        """Close for good; `open` returns soon after. Twice is harmless."""

    @abstractmethod
    def is_alive(self) -> bool:
        """Whether packets can be moved right now."""

    @abstractmethod
    def is_closed(self) -> bool:
        """Whether the channel was closed, or has given up, for good."""

    @abstractmethod
    def enqueue_send(self, packet: Outbound) -> bool:
        """Send a packet as soon as possible, in order.

        Returns:
            Whether it was taken. False: there is no connection now, or the queue is full. Nothing is lost by
            that: on the next opening the router is told how things stand.
        """
