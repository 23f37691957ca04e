"""Metrics of the latency of packets and of user code."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing
from prometheus_client import CollectorRegistry

from mephisto_es.adapters.metrics.latencies import STAGES, WHOLE_WAY, Latencies
from mephisto_es.core.abstractions.agent import Unit, Worker
from mephisto_es.core.operations.task_code.timings import UserFunction, measure_with, timings
from mephisto_es.core.packets import LogErrorPacket, ReturnStatuses

from ...core.operations.operator_harness import HarnessTaskState, TrioClock, items, open_harness, until, work

SECONDS_TO_DECIDE = 2


class Watch:
    """Latencies, and what is told of them."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.latencies = Latencies(self._registry, TrioClock())

    def told(self, name: str, **labels: str) -> float:
        return self._registry.get_sample_value(name, labels) or 0.0


async def takes_its_time(_worker: Worker, _unit: Unit) -> bool:
    await trio.sleep(SECONDS_TO_DECIDE)
    return True


async def test_a_run_is_measured(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    watch = Watch()
    measure_with(watch.latencies)
    async with open_harness(tmp_path) as harness:
        live_run = await harness.launch(HarnessTaskState(data=items(3), worker_can_do_unit=takes_its_time))
        assert await work(harness.router(live_run), "anna", visits=3) == 3
        await until(harness, lambda: harness.statuses("unit") == {"completed": 3})
    asked = watch.told("external_function_latency_count", function="worker_can_do_unit")
    assert asked >= 3
    assert watch.told("external_function_latency_sum", function="worker_can_do_unit") == asked * SECONDS_TO_DECIDE
    assert watch.told("external_function_latency_count", function="get_init_data_for_agent") == 3
    assert watch.told("external_function_latency_count", function="validate_onboarding") == 0
    handled, way = "client_io_handler_latency_seconds", "e2e_packet_latency"
    assert watch.told(f"{handled}_count", packet_type="submit_unit") == 3
    assert watch.told(f"{handled}_count", packet_type="register_agent") >= 3
    assert watch.told(f"{handled}_sum", packet_type="register_agent") == asked * SECONDS_TO_DECIDE
    for stage in (*STAGES, WHOLE_WAY):
        assert watch.told(f"{way}_count", packet_type="submit_unit", stage=stage) == 3
    slow = watch.told(f"{way}_sum", packet_type="register_agent", stage="server_processing")
    assert slow == pytest.approx(asked * SECONDS_TO_DECIDE)


async def test_each_stage_of_a_packets_way(autojump_clock: trio.testing.MockClock) -> None:
    watch = Watch()
    now = TrioClock().now_us() / 1_000_000
    packet = LogErrorPacket(
        client_timestamp=now - 7, router_incoming_timestamp=now - 4, router_outgoing_timestamp=now - 3
    )
    done = watch.latencies.packet(packet)
    await trio.sleep(5)
    done()
    stages = {
        stage: watch.told("e2e_packet_latency_sum", packet_type="log_error", stage=stage)
        for stage in (*STAGES, WHOLE_WAY)
    }
    assert stages == pytest.approx(dict(zip((*STAGES, WHOLE_WAY), (3, 1, 3, 5, 12), strict=True)))


async def test_times_that_are_missing_or_of_a_clock_that_is_ahead_count_as_none(
    autojump_clock: trio.testing.MockClock,
) -> None:
    watch = Watch()
    ahead = TrioClock().now_us() / 1_000_000 + 100
    watch.latencies.packet(ReturnStatuses(data={}))()
    watch.latencies.packet(ReturnStatuses(data={}, client_timestamp=ahead))()
    for stage in (*STAGES, WHOLE_WAY):
        labels = {"packet_type": "return_statuses", "stage": stage}
        assert watch.told("e2e_packet_latency_count", **labels) == 2
        assert watch.told("e2e_packet_latency_sum", **labels) == 0


async def test_nothing_is_measured_unless_somebody_wants_to_know() -> None:
    watch = Watch()
    with timings().function(UserFunction.FILTER_UNITS):
        timings().packet(ReturnStatuses(data={}))()
    assert watch.told("external_function_latency_count", function="filter_units_for_worker") == 0
    assert watch.told("client_io_handler_latency_seconds_count", packet_type="return_statuses") == 0


async def test_a_function_that_fails_is_measured_too(autojump_clock: trio.testing.MockClock) -> None:
    watch = Watch()

    async def fails() -> None:
        with watch.latencies.function(UserFunction.GOLD_DATA):
            await trio.sleep(3)
            raise LookupError

    with pytest.raises(LookupError):
        await fails()
    assert watch.told("external_function_latency_sum", function="get_gold_unit_data_for_worker") == 3
