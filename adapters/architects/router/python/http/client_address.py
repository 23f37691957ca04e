"""Finds out which address a request comes from, for limits by address, and remembers those of agents.

Behind a web server every connection comes from that server, which says in `X-Forwarded-For` for whom. What stands
further to the left in that header was written by the client itself, and is worth nothing.
"""

from collections import OrderedDict
from ipaddress import IPv4Address, IPv6Address, ip_address

from starlette.requests import HTTPConnection

#: A provider gives its customer a whole network of IPv6: its addresses count as one.
_NETWORK_BITS = 64

#: Known addresses that are remembered; beyond it the longest unused is forgotten.
MAX_ADDRESSES = 10_000


class ClientAddress:
    """The address of a client.

    Attributes:
        key: the address, or its network, as a text.
        is_local: the client is on this machine. Limits by address do not apply to it: simulated crowds and benchmarks
            come from there.
    """

    __slots__ = ("is_local", "key")

    def __init__(self, text: str) -> None:
        address = _parse(text)
        self.is_local = address is not None and address.is_loopback
        if isinstance(address, IPv6Address):
            self.key = f"{int(address) >> (128 - _NETWORK_BITS):x}"
        else:
            self.key = str(address)


def client_address(request: HTTPConnection, trusted_proxies: int) -> ClientAddress:
    """Return the address of the client behind so many web servers of ours."""
    peer = request.client.host if request.client is not None else ""
    if trusted_proxies == 0:
        return ClientAddress(peer)
    named = [each.strip() for header in request.headers.getlist("x-forwarded-for") for each in header.split(",")]
    hops = [*named, peer]
    return ClientAddress(hops[max(0, len(hops) - 1 - trusted_proxies)])


class KnownAddresses:
    """Addresses from which somebody proved to have an agent, by a request or on a socket.

    Args:
        trusted_proxies: web servers of ours in front.
    """

    def __init__(self, trusted_proxies: int) -> None:
        self._trusted_proxies = trusted_proxies
        self._keys: OrderedDict[str, None] = OrderedDict()

    def note(self, connection: HTTPConnection) -> None:
        """Remember the address of a client that has an agent."""
        key = client_address(connection, self._trusted_proxies).key
        self._keys[key] = None
        self._keys.move_to_end(key)
        if len(self._keys) > MAX_ADDRESSES:
            self._keys.popitem(last=False)

    def has(self, address: ClientAddress) -> bool:
        """Return whether an agent has come from an address; clients on this machine always count as known."""
        return address.is_local or address.key in self._keys


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address; None if it is none, so that all such clients count as one."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
