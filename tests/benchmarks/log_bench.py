"""The log beside raw `sqlite3` and beside the best Python peer, interleaved in one run, against its bars.

Usage: python log_bench.py [--quick] [--json FILE]. Needs `pip install mephisto-es[bench]`. Ratios of CPU time, and of
paired turns, are what holds on a shared machine; figures by the clock of anything that syncs may move tenfold.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from itertools import count
from pathlib import Path

import msgspec
import trio

from mephisto_es.tests.benchmarks.clients import thread_per_append, through_ledger
from mephisto_es.tests.benchmarks.measuring import cpu_ratio, cpu_us, interleaved, median, wall_rate
from mephisto_es.tests.benchmarks.peers import Ours, OursFolded, OursUnchained, Peer, PeerLog, Raw
from mephisto_es.tests.benchmarks.report import Report, new_report, run_benchmark
from mephisto_es.tests.benchmarks.workload import Truth, facts, truth_of

PEERS: dict[str, type[PeerLog]] = {"raw": Raw, "ours": Ours, "peer": Peer}
PEER_NAME = f"eventsourcing {version('eventsourcing')}"


class Sizes(msgspec.Struct, frozen=True):
    """The amount of work that is measured."""

    rounds: int = 9
    singles: int = 200
    batches: int = 30
    batch_events: int = 100
    replay_events: int = 100_000
    #: Many short rounds: a shared disk is quick and slow by turns, and a pair must fall into one of them.
    client_seconds: float = 0.5
    client_rounds: int = 11
    large_events: int = 1_000_000


QUICK = Sizes(
    rounds=2, singles=50, batches=5, replay_events=5000, client_seconds=0.2, client_rounds=1, large_events=20_000
)


class Bench:
    """One run of everything, in a folder of its own."""

    def __init__(self, folder: Path, sizes: Sizes) -> None:
        self._folder = folder
        self._sizes = sizes
        self._files = count()
        self.report = new_report("log", "eventsourcing", peer=PEER_NAME)

    def run(self) -> Report:
        """Measure everything."""
        self._singles()
        self._batches()
        self._replays()
        self._clients()
        self._large()
        return self.report

    def _file(self) -> str:
        return str(self._folder / f"{next(self._files)}.db")

    def _singles(self) -> None:
        each = self._sizes.singles
        work = list(facts(each * (self._sizes.rounds + 1)))
        logs = {name: kind(self._file(), str(self._folder)) for name, kind in PEERS.items()}

        def turn(log: PeerLog) -> Callable[[int], None]:
            def take(number: int) -> None:
                for fact in work[number * each : (number + 1) * each]:
                    log.append_one(fact)

            return take

        costs = interleaved({name: turn(log) for name, log in logs.items()}, self._sizes.rounds)
        for log in logs.values():
            _check(log, truth_of(work))
            log.close()
        self.report.details["one event a commit"] = {
            f"{name} {unit}": figure
            for name, spent in costs.items()
            for unit, figure in (("cpu us", cpu_us(spent, each)), ("events/s", wall_rate(spent, each)))
        }
        self.report.judge(
            "one durable event a commit, CPU ratio to raw",
            cpu_ratio(costs["ours"], costs["raw"]),
            "<=",
            1.8,
            cpu_ratio(costs["peer"], costs["raw"]),
        )

    def _batches(self) -> None:
        size = self._sizes.batch_events
        each = self._sizes.batches * size
        work = list(facts(each * (self._sizes.rounds + 1)))
        logs = {name: kind(self._file(), str(self._folder)) for name, kind in PEERS.items()}

        def turn(log: PeerLog) -> Callable[[int], None]:
            def take(number: int) -> None:
                for start in range(number * each, (number + 1) * each, size):
                    log.append_batch(work[start : start + size])

            return take

        costs = interleaved({name: turn(log) for name, log in logs.items()}, self._sizes.rounds)
        for log in logs.values():
            _check(log, truth_of(work))
            log.close()
        self.report.details[f"{size} events a commit"] = {
            f"{name} {unit}": figure
            for name, spent in costs.items()
            for unit, figure in (("cpu us", cpu_us(spent, each)), ("events/s", wall_rate(spent, each)))
        }
        self.report.judge(
            f"{size} events a commit, CPU ratio to raw",
            cpu_ratio(costs["ours"], costs["raw"]),
            "<=",
            2.5,
            cpu_ratio(costs["peer"], costs["raw"]),
        )

    def _replays(self) -> None:
        events = self._sizes.replay_events
        work = list(facts(events))
        kinds = PEERS | {"ours without the chain": OursUnchained, "ours folded": OursFolded}
        logs = {name: kind(self._file(), str(self._folder)) for name, kind in kinds.items()}
        for log in logs.values():
            for start in range(0, events, 1000):
                log.append_batch(work[start : start + 1000])
        costs = interleaved(
            {name: lambda _, log=log: log.replay() for name, log in logs.items()},  # type: ignore[misc]  # as above
            self._sizes.rounds,
        )
        for log in logs.values():
            _check(log, truth_of(work))
            log.close()
        self.report.details["replay"] = {f"{name} cpu us": cpu_us(spent, events) for name, spent in costs.items()}

        def rate(name: str) -> float:
            return 1 / cpu_ratio(costs[name], costs["raw"])

        self.report.judge("full audit replay, rate as a ratio of raw", rate("ours"), ">=", 0.30, rate("peer"))
        self.report.judge("replay without the chain, rate as a ratio of raw", rate("ours without the chain"), ">=", 0.6)

    def _clients(self) -> None:
        seconds = self._sizes.client_seconds
        for clients, bar in ((1, 0.8), (16, 8.0), (64, 15.0), (256, 20.0)):
            pairs = []
            for number in range(self._sizes.client_rounds):
                rates = {
                    way: trio.run(way, self._file(), clients, seconds)
                    for way in (through_ledger, thread_per_append)[:: 1 if number % 2 else -1]
                }
                pairs.append((rates[through_ledger], rates[thread_per_append]))
            self.report.details[f"{clients} clients"] = {"appends/s": median([together for together, _ in pairs])}
            self.report.judge(
                f"{clients} clients, rate as a multiple of a commit an append",
                median([together / alone for together, alone in pairs]),
                ">=",
                bar,
            )

    def _large(self) -> None:
        path = self._file()
        events = self._sizes.large_events
        figures = {job: _job(job, path, events) for job in ("make", "audit", "rebuild")}
        for job, done in figures.items():
            self.report.details[f"{events:,} events, {job}"] = done
        rebuilt = figures["rebuild"]
        self.report.judge(
            "views rebuilt, events a CPU second", rebuilt["events"] / rebuilt["cpu_seconds"], ">=", 300_000
        )
        for job in ("audit", "rebuild"):
            self.report.judge(f"{job} of {events:,} events, peak MiB", figures[job]["peak_mib"], "<=", 256)


def _job(job: str, path: str, events: int) -> dict[str, float]:
    command = [sys.executable, str(Path(__file__).with_name("large.py")), job, path, str(events)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return msgspec.json.decode(done.stdout, type=dict[str, float])


def _check(log: PeerLog, truth: Truth) -> None:
    log.replay()
    if log.found() != truth:
        raise AssertionError(f"{type(log).__name__}: the replay is not what was appended")


def benchmark(quick: bool) -> Report:
    """Measure everything."""
    with tempfile.TemporaryDirectory() as folder:
        return Bench(Path(folder), QUICK if quick else Sizes()).run()


if __name__ == "__main__":
    sys.exit(run_benchmark("Measure the log against raw sqlite3 and a peer.", benchmark, sys.argv[1:]))
