"""Sets how the suite runs: Hypothesis examples, processes, the garbage collector, and the tests that are not traced."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from .postgres import Cluster, shared_cluster

# No deadline: examples that write files take as long as the machine's other users let them.
settings.register_profile("short", max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", settings.get_profile("short"), max_examples=2000)
# Always the same few: the tests run once for each mutation.
settings.register_profile("few", settings.get_profile("short"), max_examples=10, derandomize=True, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))

#: Processes of the suite beyond one for each core: half of the time a test waits for a browser, a router or a verb.
MORE_PROCESSES = 2

HERE = Path(__file__).parent
#: Files whose tests draw whole scenes at random, or try all of them. `make coverage` traces neither them nor what
#: Hypothesis draws: tracing makes Python half as fast, and no test says what a line does that only they reach.
UNTRACED = {
    HERE / name
    for name in (
        "adapters/log/test_damaged_files.py",
        "adapters/providers/test_fair_pay_under_faults.py",
        "adapters/providers/test_races.py",
        "adapters/providers/test_runs_under_faults.py",
        "core/operations/test_recovery.py",
        "test_simulation.py",
    )
}

# Collecting makes two million objects that stay; to look through them takes the collector more than a second each time,
# and everything that a test waits for waits with it.
gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests during which coverage is not traced."""
    for item in items:
        is_drawn = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
        if is_drawn or item.path in UNTRACED:
            item.add_marker(pytest.mark.no_cover)


def pytest_collection_finish() -> None:
    """Spare the garbage collector what stays until the end."""
    gc.freeze()
    gc.enable()


def pytest_xdist_auto_num_workers() -> int | None:
    """Return the number of processes for `--numprocesses auto`."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    return (os.cpu_count() or 1) + MORE_PROCESSES


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A PostgreSQL server that all processes of the session share."""
    folder = tmp_path_factory.getbasetemp()
    with shared_cluster(folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) as cluster:
        yield cluster
