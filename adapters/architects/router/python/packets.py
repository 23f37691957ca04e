"""Makes and stamps packets with the router's time."""

from collections.abc import Callable

from msgspec import UNSET, Raw

from .wire import MEPHISTO, Packet, StatusUpdate, Timestamp, encode, raw


class PacketFactory:
    """Makes encoded packets.

    Args:
        clock: Seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock

    def now(self) -> float:
        """Return the time as packets have it: in seconds, with three decimals."""
        return round(self._clock(), 3)

    def from_worker(
        self, packet_type: str, subject: str | None, data: Raw, client_timestamp: Timestamp = UNSET
    ) -> bytes:
        """Make a packet that says what a worker did."""
        return encode(
            Packet(
                packet_type=packet_type,
                subject_id=subject,
                data=data,
                client_timestamp=client_timestamp,
                router_incoming_timestamp=self.now(),
            )
        )

    def from_router(self, packet_type: str, data: Raw, subject: str = MEPHISTO) -> bytes:
        """Make a packet that says what the router knows."""
        return encode(
            Packet(packet_type=packet_type, subject_id=subject, data=data, router_outgoing_timestamp=self.now())
        )

    def status(self, agent: str, status: str) -> bytes:
        """Make the packet that tells a page its agent's status."""
        return self.from_router("update_status", raw(StatusUpdate(status)), agent)

    def passed_on(self, packet: Packet) -> bytes:
        """Stamp a packet that goes on to where it was sent to."""
        packet.router_incoming_timestamp = packet.router_outgoing_timestamp = self.now()
        return encode(packet)
