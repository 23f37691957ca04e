"""How long packets are on their way and in work, and how long code of the user's takes: Mephisto's figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import get_args

import trio
from prometheus_client import CollectorRegistry, Histogram

from ...core.operations.task_code.timings import UserFunction
from ...core.packets import Inbound, Packet
from ...core.ports import WallClock

#: Parts of a packet's way, each between two times that it carries, or that are noted here.
STAGES = ("client_to_router", "router_processing", "router_to_server", "server_processing")
WHOLE_WAY = "e2e_time"

#: Seconds, from a packet that only has to be noted to a callback that asks a service elsewhere.
_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0)
_MICROSECONDS = 1_000_000


class Latencies:
    """The stopwatch of an operator whose figures are shown."""

    def __init__(self, registry: CollectorRegistry, clock: WallClock) -> None:
        """Begin with nothing.

        Args:
            registry: where the figures are read.
            clock: what is compared with the times that pages and routers write into packets.
        """
        self._clock = clock
        self._handled = Histogram(
            "client_io_handler_latency_seconds",
            "From when a packet came until it was durable, answered or taken note of",
            ["packet_type"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._way = Histogram(
            "e2e_packet_latency",
            "Seconds that a packet spent in each stage of its way; machines whose clocks differ count as no time",
            ["packet_type", "stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._functions = Histogram(
            "external_function_latency",
            "Seconds that code of the user's took",
            ["function"],
            buckets=_SECONDS,
            registry=registry,
        )
        for kind in get_args(Inbound):
            self._handled.labels(_type_of(kind))
        for function in UserFunction:
            self._functions.labels(function.value)

    def packet(self, packet: Inbound) -> Callable[[], None]:
        """Measure from now until what is returned is called."""
        began, came = trio.current_time(), self._now()

        def done() -> None:
            packet_type = _type_of(type(packet))
            self._handled.labels(packet_type).observe(trio.current_time() - began)
            times = _on_the_way(packet, came, self._now())
            for stage, (left, arrived) in zip(STAGES, pairwise(times), strict=True):
                self._way.labels(packet_type, stage).observe(max(0.0, arrived - left))
            self._way.labels(packet_type, WHOLE_WAY).observe(max(0.0, times[-1] - times[0]))

        return done

    @contextmanager
    def function(self, function: UserFunction) -> Iterator[None]:
        """Measure for as long as the block runs."""
        began = trio.current_time()
        try:
            yield
        finally:
            self._functions.labels(function.value).observe(trio.current_time() - began)

    def _now(self) -> float:
        return self._clock.now_us() / _MICROSECONDS


def _on_the_way(packet: Packet, came: float, done: float) -> tuple[float, ...]:
    """When a packet left the page, reached the router, left it, came here, and was done with.

    A stage that nobody noted the time of counts as no time.
    """
    left_router = came if packet.router_outgoing_timestamp is None else packet.router_outgoing_timestamp
    reached_router = left_router if packet.router_incoming_timestamp is None else packet.router_incoming_timestamp
    left_page = reached_router if packet.client_timestamp is None else packet.client_timestamp
    return left_page, reached_router, left_router, came, done


def _type_of(kind: type[Packet]) -> str:
    return str(kind.__struct_config__.tag)
