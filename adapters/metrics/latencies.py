"""Measures the latency of packets, their handling time, and the duration of user code. These are Mephisto's metrics."""

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

#: The stages of a packet's journey, each between two timestamps in the packet or measured here.
STAGES = ("client_to_router", "router_processing", "router_to_server", "server_processing")
WHOLE_WAY = "e2e_time"

#: Buckets in seconds, from a packet that is only noted to a callback that calls a remote service.
_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0)
_MICROSECONDS = 1_000_000


class Latencies:
    """The timings of an operator that serves metrics."""

    def __init__(self, registry: CollectorRegistry, clock: WallClock) -> None:
        """Define the metrics.

        Args:
            registry: the registry to serve.
            clock: the clock to compare with the timestamps that pages and routers write into packets.
        """
        self._clock = clock
        self._handled = Histogram(
            "client_io_handler_latency_seconds",
            "Time from the arrival of a packet until it was durable, answered or noted",
            ["packet_type"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._way = Histogram(
            "e2e_packet_latency",
            "Seconds that a packet spent in each stage; negative differences between clocks count as zero",
            ["packet_type", "stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._functions = Histogram(
            "external_function_latency",
            "Seconds that user code took",
            ["function"],
            buckets=_SECONDS,
            registry=registry,
        )
        for kind in get_args(Inbound):
            self._handled.labels(_type_of(kind))
        for function in UserFunction:
            self._functions.labels(function.value)

    def packet(self, packet: Inbound) -> Callable[[], None]:
        """Measure from now until the returned function is called."""
        started_at, arrived_at = trio.current_time(), self._now()

        def done() -> None:
            packet_type = _type_of(type(packet))
            self._handled.labels(packet_type).observe(trio.current_time() - started_at)
            times = _timestamps(packet, arrived_at, self._now())
            for stage, (left, arrived) in zip(STAGES, pairwise(times), strict=True):
                self._way.labels(packet_type, stage).observe(max(0.0, arrived - left))
            self._way.labels(packet_type, WHOLE_WAY).observe(max(0.0, times[-1] - times[0]))

        return done

    @contextmanager
    def function(self, function: UserFunction) -> Iterator[None]:
        """Measure the duration of the block."""
        started_at = trio.current_time()
        try:
            yield
        finally:
            self._functions.labels(function.value).observe(trio.current_time() - started_at)

    def _now(self) -> float:
        return self._clock.now_us() / _MICROSECONDS


def _timestamps(packet: Packet, arrived_at: float, done: float) -> tuple[float, ...]:
    """Return when a packet left the page, reached the router, left it, arrived here, and was done.

    A stage without a timestamp counts as zero.
    """
    left_router = arrived_at if packet.router_outgoing_timestamp is None else packet.router_outgoing_timestamp
    reached_router = left_router if packet.router_incoming_timestamp is None else packet.router_incoming_timestamp
    left_page = reached_router if packet.client_timestamp is None else packet.client_timestamp
    return left_page, reached_router, left_router, arrived_at, done


def _type_of(kind: type[Packet]) -> str:
    return str(kind.__struct_config__.tag)
