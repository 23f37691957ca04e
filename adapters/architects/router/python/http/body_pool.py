"""Shares memory, disk and places among the request bodies that are arriving.

Anybody may send a body and stop in the middle of it, a thousand times. So what unfinished bodies hold is limited, for
each address and in total. When a total is reached, the slowest body gives way: an honest one is soon complete. What is
large and comes from where nobody is known is throttled.
"""

from collections import Counter
from collections.abc import Callable
from enum import Enum
from types import TracebackType
from typing import NamedTuple, NoReturn

from ..errors import RefusalError
from ..settings import RouterSettings
from .client_address import ClientAddress, KnownAddresses
from .throttle import FREE_BYTES, MAX_BODIES, Throttle

#: A body that has just begun does not give way: its speed is not known yet.
MIN_AGE_SECONDS = 0.25


#: Memory for all bodies; more if a body may be very large.
MEMORY_BYTES = 40 * 2**20

#: Number of forms that are received at the same time.
MAX_FORMS = 100


class Resource(Enum):
    """Something that unfinished bodies hold; the value is a short name for the counters."""

    MEMORY = "body_memory"
    #: Files of forms that have not named a known agent yet.
    DISK = "upload_disk"
    FORM = "concurrent_forms"
    #: A place among the bodies that are throttled.
    THROTTLED = "throttled_bodies"


class PoolLimit(NamedTuple):
    """Limit of one resource."""

    total: int
    #: Of clients at one address; those on this machine are exempt.
    per_address: int


def pool_limits(settings: RouterSettings) -> dict[Resource, PoolLimit]:
    """Return the limit of each resource: a body of the largest size always fits, several of a usual one do, too."""
    memory = max(MEMORY_BYTES, 4 * settings.max_body_bytes)
    return {
        Resource.MEMORY: PoolLimit(memory, memory // 2),
        Resource.DISK: PoolLimit(2 * settings.max_upload_bytes, settings.max_upload_bytes),
        Resource.FORM: PoolLimit(MAX_FORMS, MAX_FORMS // 4),
        Resource.THROTTLED: PoolLimit(MAX_BODIES, MAX_BODIES // 4),
    }


class PooledBody:
    """One unfinished body; a context manager that ends in freeing all that it holds.

    Made by `BodyPool.open`.
    """

    def __init__(
        self,
        pool: "BodyPool",
        address: ClientAddress,
        on_evicted: Callable[[], None],
        now: float,
        throttle: Throttle | None,
    ) -> None:
        self.address = address
        #: What it holds of each resource.
        self.held: Counter[Resource] = Counter()
        #: True once it had to give way.
        self.is_evicted = False
        self._pool = pool
        self._on_evicted = on_evicted
        self._began = now
        self._received_bytes = 0
        # None if its sender is known.
        self._throttle = throttle
        self._handled_bytes = 0

    def __enter__(self) -> "PooledBody":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.close(self)

    def receive(self, size_bytes: int) -> None:
        """Count bytes that have arrived."""
        self._received_bytes += size_bytes

    def hold(self, resource: Resource, amount: int) -> None:
        """Set how much it holds of a resource.

        Raises:
            RefusalError: there is no room for that, or it had to give way.
        """
        if self.is_evicted:
            # Work on it may go on for a moment. What it held then would never be freed.
            raise busy()
        self._pool.reserve(self, resource, amount)

    @property
    def is_trusted(self) -> bool:
        """True if its sender is known, so that it is not throttled."""
        return self._throttle is None

    async def throttle(self, size_bytes: int) -> None:
        """Wait until bytes of it, or work that takes as long, may be handled; no time unless it is a stranger's.

        Raises:
            RefusalError: too many bodies are throttled.
        """
        self._handled_bytes += size_bytes
        if self._throttle is not None and self._handled_bytes > FREE_BYTES:
            self.hold(Resource.THROTTLED, 1)
            await self._throttle.take(size_bytes)

    def trust(self) -> None:
        """Note that its sender turned out to be known."""
        self._throttle = None
        self.hold(Resource.THROTTLED, 0)

    def age(self, now: float) -> float:
        """Return the seconds since it began."""
        return now - self._began

    def speed(self, now: float) -> float:
        """Return the bytes that have arrived in a second, on average."""
        return self._received_bytes / max(self.age(now), MIN_AGE_SECONDS)

    def evict(self) -> None:
        """Make it give way."""
        self.is_evicted = True
        self._on_evicted()


class BodyPool:
    """All bodies that are arriving.

    Args:
        limits: the limit of each resource.
        known: the addresses whose bodies are not throttled.
        on_full: called with a resource for each body that gives way or is refused.
        monotonic: returns seconds since any fixed moment.
    """

    def __init__(
        self,
        limits: dict[Resource, PoolLimit],
        known: KnownAddresses,
        on_full: Callable[[Resource], None],
        monotonic: Callable[[], float],
    ) -> None:
        self._limits = limits
        self._known = known
        self._on_full = on_full
        self._monotonic = monotonic
        self._throttle = Throttle(monotonic)
        self._bodies: dict[PooledBody, None] = {}
        self._totals: Counter[Resource] = Counter()
        self._by_address: Counter[tuple[Resource, str]] = Counter()

    def open(self, address: ClientAddress, on_evicted: Callable[[], None]) -> PooledBody:
        """Add a body that begins to arrive.

        Args:
            address: who sends it.
            on_evicted: called if it has to give way.
        """
        throttle = None if self._known.has(address) else self._throttle
        body = PooledBody(self, address, on_evicted, self._monotonic(), throttle)
        self._bodies[body] = None
        return body

    def close(self, body: PooledBody) -> None:
        """Free all that a body holds."""
        if self._bodies.pop(body, False) is None:
            for resource, amount in body.held.items():
                self._add(body, resource, -amount)
            body.held.clear()

    def reserve(self, body: PooledBody, resource: Resource, amount: int) -> None:
        """Set how much a body holds of a resource; slower ones give way if there is no room.

        Raises:
            RefusalError: its address holds too much, or there is no room.
        """
        more, limit = amount - body.held[resource], self._limits[resource]
        share = self._by_address[resource, body.address.key]
        if more > 0 and not body.address.is_local and share + more > limit.per_address:
            self._refuse(resource)
        while more > 0 and self._totals[resource] + more > limit.total:
            slowest = self._slowest(resource, body)
            if slowest is None:
                self._refuse(resource)
            self._on_full(resource)
            self.close(slowest)
            slowest.evict()
        self._add(body, resource, more)
        body.held[resource] = amount

    def _slowest(self, resource: Resource, newest: PooledBody) -> PooledBody | None:
        now = self._monotonic()
        others = (
            body
            for body in self._bodies
            if body is not newest and body.held[resource] and body.age(now) >= MIN_AGE_SECONDS
        )
        return min(others, key=lambda body: body.speed(now), default=None)

    def _refuse(self, resource: Resource) -> NoReturn:
        self._on_full(resource)
        raise busy()

    def _add(self, body: PooledBody, resource: Resource, amount: int) -> None:
        self._totals[resource] += amount
        key = resource, body.address.key
        self._by_address[key] += amount
        if not self._by_address[key]:
            del self._by_address[key]


def busy() -> RefusalError:
    """Make the refusal of a body for which there is no room."""
    return RefusalError(503, "The task server receives too much at the moment. Please try again in a minute.")
