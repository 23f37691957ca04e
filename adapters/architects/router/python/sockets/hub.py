"""Decides who speaks on which socket, and passes on what is said there."""

from functools import partial

from msgspec import Raw

from ..counters import Counters
from ..errors import MalformedJsonError
from ..http.run_page import RunPage
from ..json_text import strict_json
from ..log import log
from ..operator.operator_link import OperatorLink
from ..operator.operator_orders import OperatorOrders
from ..packets import MEPHISTO, OperatorGreeting, WirePacket, read_operator_greeting, read_packet
from ..pages.page_requests import PageRequests
from ..pages.page_sessions import PageSessions
from ..settings import Secret
from .connection import POLICY_VIOLATION, SERVICE_RESTART, TOO_BIG, Connection


class Hub:
    """All open sockets.

    Args:
        secret: makes a socket the operator's.
        page: knows whose operator may attach.
        sessions: handles packets of pages.
        requests: has requests for a new operator.
        link: the operator's socket.
        orders: executes packets of the operator.
        counters: counts what is discarded.
        max_packet_bytes: size of a page's packet.
        max_unknown: sockets on which nobody is known yet; when there are more, the oldest is closed. Pages greet at
            once, so that these are others.
    """

    def __init__(
        self,
        secret: Secret,
        page: RunPage,
        sessions: PageSessions,
        requests: PageRequests,
        link: OperatorLink,
        orders: OperatorOrders,
        counters: Counters,
        max_packet_bytes: int,
        max_unknown: int,
    ) -> None:
        self._secret = secret
        self._page = page
        self._sessions = sessions
        self._requests = requests
        self._link = link
        self._orders = orders
        self._counters = counters
        self._max_packet_bytes = max_packet_bytes
        self._max_unknown = max_unknown
        self._connections: set[Connection] = set()
        # In the order in which they were opened.
        self._unknown: dict[Connection, None] = {}

    @property
    def socket_count(self) -> int:
        """Number of open sockets."""
        return len(self._connections)

    def is_operator(self, connection: Connection) -> bool:
        """Return whether a socket is the operator's."""
        return self._link.is_held_by(connection)

    def is_known(self, connection: Connection) -> bool:
        """Return whether somebody is known to speak on a socket: the operator, or the page of an agent."""
        return self.is_operator(connection) or bool(connection.agents)

    def connect(self, connection: Connection) -> None:
        """Register a new socket."""
        connection.on_pong(partial(self._on_pong, connection))
        self._connections.add(connection)
        self._unknown[connection] = None
        if len(self._unknown) > self._max_unknown:
            self._counters.drop("unknown_sockets")
            self._close_unknown(next(iter(self._unknown)))

    def disconnect(self, connection: Connection, *, said_goodbye: bool) -> None:
        """Remove a socket that is closed.

        Args:
            connection: its outgoing side.
            said_goodbye: the other side closed it; otherwise it was lost.
        """
        self._connections.discard(connection)
        self._unknown.pop(connection, None)
        self._link.detach(connection)
        self._sessions.on_disconnect(connection, said_goodbye=said_goodbye)

    def on_message(self, connection: Connection, text: str | None) -> None:
        """Handle a message of a socket.

        Args:
            connection: the socket's outgoing side.
            text: None if the message was no text.
        """
        if not connection.is_open:
            return
        if text is None:
            self._counters.drop("malformed_packet")
            return
        message = text.encode("utf-8", "surrogatepass")
        if self.is_operator(connection):
            self._link.hear()
            self._orders.execute(message)
        elif len(message) > self._max_packet_bytes:
            self._counters.drop("packet_too_big")
            connection.close(TOO_BIG)
        else:
            self._on_packet(connection, message)
            if self.is_known(connection):
                self._unknown.pop(connection, None)

    def close(self) -> None:
        """Close all sockets: the process ends."""
        for connection in self._connections:
            connection.close(SERVICE_RESTART)

    def _on_pong(self, connection: Connection) -> None:
        if self.is_operator(connection):
            self._link.hear()
        else:
            self._sessions.on_pong(connection)

    def _close_unknown(self, connection: Connection) -> None:
        del self._unknown[connection]
        connection.close(POLICY_VIOLATION)

    def _on_packet(self, connection: Connection, message: bytes) -> None:
        try:
            packet = read_packet(strict_json(message))
        except MalformedJsonError:
            self._counters.drop("malformed_packet")
            return
        if packet.subject_id == MEPHISTO:
            self._check_operator(connection, packet)
        else:
            self._sessions.on_packet(connection, packet)

    def _check_operator(self, connection: Connection, packet: WirePacket) -> None:
        try:
            greeting = read_operator_greeting(packet.data if isinstance(packet.data, Raw) else b"{}")
        except MalformedJsonError:
            greeting = OperatorGreeting()
        is_operator = packet.packet_type == "alive" and self._secret.matches(greeting.token)
        if is_operator and self._page.admits(greeting.run):
            self._link.attach(connection, greeting)
            self._sessions.on_operator_attached()
            self._requests.on_operator_attached()
            return
        self._counters.refuse_operator()
        reason = "it is not that of the run" if is_operator else "it does not have the run's secret"
        log("operator_refused", reason=reason)
        connection.close(POLICY_VIOLATION)
