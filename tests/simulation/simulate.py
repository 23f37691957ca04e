"""One simulation: operators that live and die, routers, people, and faults, all from one seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random
from tempfile import mkdtemp

import trio

from mephisto_es.adapters.architects.memory.router import PageFile
from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.composition.requests import request_executor
from mephisto_es.core.abstractions.crowd.payments import PaymentOrder
from mephisto_es.core.errors import LaunchError, LogError
from mephisto_es.core.ledger import Ledger
from mephisto_es.core.lifecycles.task_run import ENDED_RUN_STATUSES
from mephisto_es.core.operations.operator import Operator
from mephisto_es.core.payloads import RUNS_FOLDER
from mephisto_es.core.ports import Ids
from mephisto_es.core.state.state_snapshot import KeptState, StateSnapshot, restored
from mephisto_es.events import streams
from mephisto_es.events.envelope import RecordedEvent
from mephisto_es.events.ids import TaskRunId
from mephisto_es.events.payment import PaymentRequested

from ..commands import CHECKED_DECISIONS
from .crowd import PageRecord, Person
from .faults import (
    LAZY_SYNC_SECONDS,
    SOON_MISSED_SECONDS,
    DiskFault,
    FaultyLog,
    PowerCutError,
    Router,
    SeededIds,
    SteppedClock,
)
from .haste import (
    HASTY_DECISIONS,
    SCRIPT_SECONDS,
    SITE_ANSWERS,
    SOON_SECONDS,
    HastyRequester,
    check_stopped,
    flicker,
    with_labels,
    with_tight_budget,
    write_wrongly,
)
from .invariants import check_ledger, check_log, check_pages, check_uploads, check_view
from .job import ENVIRONMENT, Environment, JobPlan, config, shared_state
from .money import check_money, check_requests
from .office import Office, Requests
from .outcome import Simulated
from .quality_rules import check_quality
from .requester import PAUSE_REASON, Requester
from .rules import check_rules
from .scheduling import run_seeded
from .site import SITE, Site
from .storage import FileStorage
from .told import DurableStatuses
from .uploads import FileTransfers

#: Faults of one simulation at most; after the last one everything has to come to its end.
FAULTS_LIMIT = 8
#: Seconds between two faults, on average.
FAULT_SECONDS = 12.0
#: How long an operator, or a router, stays dead.
DOWN_SECONDS = (0.0, 60.0)
#: How often all routers of each run die at the same moment, if one dies.
ALL_ROUTERS = 0.25
#: How soon somebody looks after callbacks that have failed too often.
REPAIR_SECONDS = (30.0, 90.0)
#: How long somebody waits before looking if there is work again.
COME_BACK_SECONDS = 60.0
#: How often routers look for pages that have left.
MISS_EVERY_SECONDS = 5.0
CLOCK_STEP_SECONDS = (-600.0, 300.0)
#: The state is kept where a commit ends at a multiple of this position.
KEPT_EVERY = 15
#: A simulation that lasts longer will never end.
LONGEST_SECONDS = 4 * 3600.0


def simulate(
    seed: int,
    folder: Path,
    *,
    has_requester: bool = True,
    on_disk: bool = False,
    routers: int = 1,
    has_uploads: bool = False,
    has_quality: bool = False,
    is_hasty: bool = False,
) -> Simulated:
    """Run one simulation and check everything that must hold.

    Args:
        seed: all of its chance.
        folder: for the files of runs, which mean nothing.
        has_requester: whether somebody reviews, pays, blocks and so on meanwhile.
        on_disk: whether the log is the product's, in a file on a simulated disk.
        routers: how many routers a run has; pages move between them.
        has_uploads: whether workers upload files.
        has_quality: whether items get answers until their labels are sure, and units evaluate their workers.
        is_hasty: whether people are in a hurry, disks and connections are slow, and a program writes what is illegal.

    Raises:
        ViolationError: something did not hold.
    """
    transfers = FileTransfers(Random(f"{seed} files")) if has_uploads else None
    environment = Environment(transfers=transfers, router_count=routers)
    folder = Path(mkdtemp(dir=folder)) if has_uploads else folder
    simulation = Simulation(
        seed,
        folder,
        environment,
        has_requester=has_requester,
        on_disk=on_disk,
        has_quality=has_quality,
        haste=Random(f"{seed} haste") if is_hasty else None,
    )
    with simulation.disk.in_use(), closing(simulation.disk):
        run_seeded(seed, simulation.run, simulation.spin)
        return simulation.outcome()


class Simulation:
    """The state of one simulation."""

    def __init__(
        self,
        seed: int,
        folder: Path,
        environment: Environment,
        *,
        has_requester: bool,
        on_disk: bool,
        has_quality: bool,
        haste: Random | None,
    ) -> None:
        self.seed = seed
        self._haste = haste
        self._folder = folder
        chance = Random(seed)
        #: Each has a chance of its own, so that a change in one does not reshuffle all others.
        self._faults_chance, self._people_chance, self._ids_chance = (Random(chance.getrandbits(64)) for _ in range(3))
        self._routers_chance = Random(f"{seed} routers")
        #: The state that the last operator kept, in parts, and its position.
        self._kept: tuple[int, list[bytes]] | None = None
        disk_chance = Random(chance.getrandbits(64))
        self.disk = FileStorage(folder, disk_chance) if on_disk else FaultyLog(disk_chance)
        self.clock = SteppedClock()
        self.environment = environment
        environment.chance.seed(chance.getrandbits(64))
        self.jobs = [JobPlan.drawn(chance, f"job-{number}") for number in range(chance.choice([1, 1, 2]))]
        people = [chance.randint(2, 4) for _ in self.jobs]
        money_chance = Random(chance.getrandbits(64))
        if has_requester:
            self.jobs = [job.with_money(money_chance) for job in self.jobs]
        if has_requester and haste is not None:
            self.jobs = [with_tight_budget(job, haste) for job in self.jobs]
        if has_quality:
            self.jobs = [self.jobs[0].with_quality(Random(f"{seed} quality"))]
            if haste is not None:
                self.jobs = [with_labels(job) for job in self.jobs]
        self.people = dict(zip(self.jobs, people, strict=False))
        self._opened = {job: trio.Event() for job in self.jobs}
        self._run_of: dict[JobPlan, int] = {}
        self.site = Site(Random(money_chance.getrandbits(64)))
        self.site.is_requested = self._is_requested
        self._requester = self._new_requester(money_chance) if has_requester else None
        if haste is not None:
            self._make_haste(is_disk_lazy=Random(f"{seed} pace").random() < 0.5)
        self._process = trio.CancelScope()
        self._everything = trio.CancelScope()
        self._is_spinning = False
        self._lives = 0
        self._seconds = 0.0
        self.page_record = PageRecord()
        self.faults: Counter[str] = Counter()
        self._judged: Counter[str] = Counter()

    def _make_haste(self, *, is_disk_lazy: bool) -> None:
        if is_disk_lazy:
            self.disk.sync_seconds = LAZY_SYNC_SECONDS
        else:
            self.environment.script_seconds = SCRIPT_SECONDS
        self.environment.missed_seconds = SOON_MISSED_SECONDS
        # Where there is one router, pages do not look for it while their workers think.
        self.environment.reports_soon = self.environment.router_count > 1
        self.environment.check = DurableStatuses(lambda: self.disk.log).check
        self.site.answers_until_one_is_lost = SITE_ANSWERS

    def _new_requester(self, chance: Random) -> Requester:
        if self._haste is None:
            return Requester(chance, self.site, self._run_of, len(self.jobs))
        return HastyRequester(
            chance,
            self.site,
            self._run_of,
            len(self.jobs),
            lambda: self.environment.submission,
            lets_work_end=self.jobs[0].quality is not None,
        )

    def _is_requested(self, order: PaymentOrder) -> bool:
        *_, last = self.disk.log.history(streams.payment(order.task_run, order.payment))
        return isinstance(last.envelope.event, PaymentRequested)

    async def run(self) -> None:
        """Live as many operators as it takes, and check what came of it."""
        SITE.set(self.site)
        ENVIRONMENT.set(self.environment)
        with self._everything, trio.move_on_after(LONGEST_SECONDS) as patience:
            async with trio.open_nursery() as weather:
                weather.start_soon(self._break_things)
                if self.environment.router_count > 1:
                    weather.start_soon(self._miss_pages)
                if self._haste is not None:
                    weather.start_soon(flicker, self.environment, self._haste)
                if self._requester is not None:
                    weather.start_soon(self._requester.work)
                async with trio.open_nursery() as people:
                    for job in self.jobs:
                        for number in range(self.people[job]):
                            people.start_soon(self._person, job, number)
                    await self._live_until_all_ended()
                    self._seconds = trio.current_time()
                weather.cancel_scope.cancel()
        assert not self._is_spinning, f"a loop does not wait: {self._statuses()}"
        assert not patience.cancelled_caught, f"it did not end: {self._statuses()}"
        self._check()

    def _check(self) -> None:
        told = Requests() if self._requester is None else self._requester.told
        with closing(self.disk.reader()) as log:
            check_log(log)
            check_view(log)
            check_requests(log, told)
            forgotten = check_pages(log, self.page_record, self.environment, self._run_of, told)
            check_uploads(log, self.environment.all_routers, self._folder / RUNS_FOLDER, forgotten)
            if self._requester is not None:
                check_money(log, self.site)
            check_rules(log, self.page_record)
            self._judged = check_quality(log, self._run_of, told)

    def outcome(self) -> Simulated:
        """Return the result."""
        requested = self.site.done + (Counter() if self._requester is None else self._requester.told.done)
        faults = self.faults + self.disk.done + Counter({"page moved": self.page_record.moves})
        if self.environment.transfers is not None:
            faults += self.environment.transfers.done
        return Simulated(
            self.seed,
            self.disk.log.head(),
            self._seconds,
            self._lives,
            self.page_record.requests,
            faults,
            requested,
            self._judged,
        )

    def spin(self) -> None:
        """End it: something runs in circles."""
        self._is_spinning = True
        self._everything.cancel()

    # The operator ---------------------------------------------------------------------------------------------------

    async def _live_until_all_ended(self) -> None:
        while True:
            if await self._live():
                return
            await trio.sleep(self._faults_chance.uniform(*DOWN_SECONDS))

    async def _live(self) -> bool:
        """One operator process; whether all runs have ended."""
        self._lives += 1
        self.disk.open_again()
        self.environment.channels.clear()
        ended = False
        try:
            async with trio.open_nursery() as process:
                self._process = process.cancel_scope
                kept = None if self._kept is None else KeptState(self._kept[0], restored(self._kept[1]))
                ledger = Ledger(
                    self.disk.log,
                    self.clock,
                    self.disk.offload,
                    HASTY_DECISIONS if self._haste else CHECKED_DECISIONS,
                    kept,
                )
                ledger.subscribe(partial(self._keep_state, ledger))
                ids = SeededIds(ledger.state.highest_ids(), self._lives, self._ids_chance)
                await process.start(ledger.run)
                operator = Operator(ledger, ids, self.clock, self._folder / RUNS_FOLDER, process)
                self._open_office(operator, ledger, ids, process)
                async with trio.open_nursery() as launches:
                    for job in self.jobs:
                        if not self._has_ended(ledger, job):
                            launches.start_soon(self._launch, operator, job)
                process.start_soon(self._look_after, operator)
                if self._haste is not None:
                    process.start_soon(write_wrongly, ledger, self._haste)
                await operator.wait_for_runs_then_shutdown(log_rate=None)
                # Not if a callback failed on the last submissions: a run is paused then.
                ended = self._have_all_ended(ledger) and await self._is_all_settled(ledger)
                if ended or self._requester is None:
                    # The pages of a paused run may still ask for work: during their commit the state is ahead of the
                    # log. It is finished although the process is cancelled; unless it fails, the check follows.
                    ledger.call_when_durable(partial(check_ledger, ledger))
                process.cancel_scope.cancel()
        except* (PowerCutError, LogError) as group:
            check_stopped(group)
            self._cut_off()
        finally:
            if self._requester is not None:
                self._requester.close()
        return ended

    def _open_office(self, operator: Operator, ledger: Ledger, ids: Ids, process: trio.Nursery) -> None:
        """Let the requester reach the operator, through what executes requests in the product."""
        if self._requester is not None:
            executor = request_executor(self._folder / DATABASE_FILE, ledger, ids, operator)
            self._requester.open(Office(executor, ledger.state, process))

    def _have_all_ended(self, ledger: Ledger) -> bool:
        return all(self._has_ended(ledger, job) for job in self.jobs)

    async def _is_all_settled(self, ledger: Ledger) -> bool:
        """Wait until everything is reviewed and paid, or a run was extended and has to be resumed."""
        while self._requester is not None and not self._requester.done.is_set() and self._have_all_ended(ledger):
            await self._requester.acted.wait()
        return self._have_all_ended(ledger)

    def _keep_state(self, ledger: Ledger, events: Sequence[RecordedEvent]) -> None:
        """Keep the state of the log now and then, for the next operator."""
        if events and events[-1].seq % KEPT_EVERY == 0:
            self._kept = events[-1].seq, list(StateSnapshot(ledger.state).parts())

    async def _look_after(self, operator: Operator) -> None:
        """Be the person who repairs callbacks that have failed too often."""
        while True:
            await trio.sleep(self._people_chance.uniform(*REPAIR_SECONDS))
            for run in [TaskRunId(int(run)) for run in operator.get_running_task_runs()]:
                if operator.ledger.state.task_runs[streams.task_run(run)].admission_paused_by is not None:
                    self._note("callbacks repaired")
                    await operator.retry(run)

    def _has_ended(self, ledger: Ledger, job: JobPlan) -> bool:
        run = self._run_of.get(job)
        state = None if run is None else ledger.state.task_runs.get(streams.task_run(TaskRunId(run)))
        return state is not None and state.status in ENDED_RUN_STATUSES

    async def _launch(self, operator: Operator, job: JobPlan) -> None:
        try:
            run = await operator.launch_task_run_or_die(config(job), shared_state(job, self.environment))
        except LaunchError as error:
            if PAUSE_REASON not in str(error):
                raise
            return  # paused before workers could come: the next operator resumes it
        self._run_of[job] = int(run)
        self._opened[job].set()

    def _kill(self) -> None:
        self.disk.power_off()
        self._cut_off()
        self._process.cancel()

    def _cut_off(self) -> None:
        for channel in self.environment.channels:
            channel.die()

    # People and faults ----------------------------------------------------------------------------------------------

    async def _person(self, job: JobPlan, number: int) -> None:
        await self._opened[job].wait()
        name, returns = f"{job.name}-{number}", 0
        while True:
            person = Person(
                name, job, self._routers_of, self._people_chance, self.page_record, self._some_files, self._haste
            )
            await person.work()
            if self._requester is None or self._requester.done.is_set():
                return
            # The run may be extended.
            returns += 1
            name = f"{job.name}-{number}/{returns}"
            await trio.sleep(COME_BACK_SECONDS)

    def _some_files(self) -> Sequence[PageFile]:
        transfers = self.environment.transfers
        return () if transfers is None else transfers.some_files()

    def _routers_of(self, job: JobPlan) -> list[Router]:
        return self.environment.routers[self._run_of[job]]

    async def _break_things(self) -> None:
        chance = self._faults_chance
        for _ in range(chance.randint(0, FAULTS_LIMIT)):
            await trio.sleep(chance.expovariate(1 / FAULT_SECONDS))
            match chance.randrange(5):
                case 0:
                    self._note("operator killed")
                    self._kill()
                case 1:
                    self.disk.fault = chance.choice(list(DiskFault))
                    self._note(self.disk.fault.value)
                    self.environment.has_slow_disk |= self.disk.fault is DiskFault.SLOW
                case 2:
                    self._note("connection cut")
                    for channel in self.environment.channels:
                        channel.cut()
                case 3:
                    self._note("router killed")
                    killed = self._some_routers()
                    for router in killed:
                        router.crash()
                    await trio.sleep(chance.uniform(*DOWN_SECONDS))
                    for router in killed:
                        router.start()
                case _:
                    self._note("clock set")
                    self.clock.step(chance.uniform(*CLOCK_STEP_SECONDS))

    def _some_routers(self) -> list[Router]:
        """Return the router of each run, or if it has several, one of them, or now and then all."""
        if self.environment.router_count == 1:
            return self.environment.all_routers
        chosen = [self._faults_chance.choice(routers) for routers in self.environment.routers.values()]
        if chosen and self._routers_chance.random() < ALL_ROUTERS:
            self._note("all routers killed")
            return self.environment.all_routers
        return chosen

    async def _miss_pages(self) -> None:
        while True:
            await trio.sleep(MISS_EVERY_SECONDS if self._haste is None else SOON_SECONDS)
            for router in self.environment.all_routers:
                router.report_missed()

    def _note(self, fault: str) -> None:
        self.faults[fault] += 1

    def _statuses(self) -> dict[str, int]:
        """Describe the units, for finding out why a simulation does not end."""
        rows = self.disk.log.connect().execute("SELECT task_run_id || ' ' || status, count(*) FROM units GROUP BY 1")
        return dict(rows.fetchall())
