"""One simulation of several operators on one log: two that run one task or stand by, and people at a third machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random

import trio

from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.composition.requests import request_executor
from mephisto_es.core.errors import CommandRefusedError, LaunchError, LogError
from mephisto_es.core.lifecycles.task_run import ENDED_RUN_STATUSES, RESUMABLE_RUN_STATUSES, TaskRunStatus
from mephisto_es.core.operations.control.executor import RequestExecutor
from mephisto_es.core.operations.control.requests import AnyRequest, EndRequest, PauseRequest, RetryRequest
from mephisto_es.core.operations.operator import Operator
from mephisto_es.core.payloads import RUNS_FOLDER
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events import streams
from mephisto_es.events.ids import TaskRunId
from mephisto_es.events.task_run import TaskRunCreated

from ..shared_log import Loss, Store
from .common_rules import CommonRecord, check_common
from .crowd import PageRecord, Person
from .faults import Router
from .invariants import check_log, check_pages
from .job import ENVIRONMENT, JobPlan, shared_state
from .machines import Machine, Process
from .money import check_money, check_requests
from .office import Office
from .outcome import Simulated
from .requester import PAUSE_REASON, Requester
from .rules import check_rules
from .scheduling import run_seeded
from .shared_jobs import OPERATORS, BrokenEnvironment, SharedJob, Together, drawn_jobs
from .site import SITE, Site

#: The machine from which people act who have no operator.
DESK = "desk"
LEASE_SECONDS = 15.0
FAULTS_LIMIT = 8
FAULT_SECONDS = 25.0
#: How long a process is stopped: often beyond its lease.
STOPPED_SECONDS = (3.0, 60.0)
#: How long a machine, or a router, stays dead.
DOWN_SECONDS = (0.0, 60.0)
#: How long a process at the desk lives.
DESK_SECONDS = (60.0, 600.0)
#: How soon the code is broken, and how soon somebody looks after it.
BROKEN_SECONDS = (40.0, 300.0)
REPAIR_SECONDS = (10.0, 40.0)
#: How long a run is left alone by somebody who pauses one or ends one.
LEFT_ALONE_SECONDS = (40.0, 300.0)
INTERRUPTIONS_LIMIT = 3
#: How long somebody waits before looking if there is work again.
COME_BACK_SECONDS = 60.0
LONGEST_SECONDS = 3 * 3600.0
#: The author of requests to ask code again, to pause and to end.
AUTHOR = "user/second"


def simulate_several(seed: int, folder: Path) -> Simulated:
    """Run one simulation of several operators, and check everything that must hold.

    Args:
        seed: all of its chance.
        folder: for the files of runs, which mean nothing.

    Raises:
        ViolationError: something did not hold.
    """
    simulation = SeveralOperators(seed, folder)
    run_seeded(seed, simulation.run, simulation.spin)
    return simulation.outcome()


class SeveralOperators:
    """The state of one simulation."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed = seed
        self._folder = folder
        chance = Random(f"{seed} several")
        self._faults_chance, self._people_chance, self._code_chance = (Random(chance.getrandbits(64)) for _ in range(3))
        self._environment = BrokenEnvironment()
        self._environment.chance.seed(chance.getrandbits(64))
        self._jobs = drawn_jobs(chance)
        self._person_count = chance.randint(2, 3)
        self._run_of: dict[JobPlan, int] = {}
        #: Those of them that have been heard of at the desk.
        self._known_runs: dict[JobPlan, int] = {}
        self._opened = {job.plan: trio.Event() for job in self._jobs}
        self.site = Site(Random(chance.getrandbits(64)))
        self._requester = Requester(Random(chance.getrandbits(64)), self.site, self._known_runs, len(self._jobs))
        self._interruptions = self._requests = 0
        self._store = Store(now=trio.current_time, lease_seconds=LEASE_SECONDS)
        self._record = CommonRecord(LEASE_SECONDS)
        parts = self._record, self._environment, folder / RUNS_FOLDER
        work = {name: partial(self._operate, name) for name in OPERATORS} | {DESK: self._sit_at_the_desk}
        self._machines = {
            name: Machine(name, do, self._store, Random(chance.getrandbits(64)), *parts) for name, do in work.items()
        }
        self._everything = trio.CancelScope()
        self._is_spinning = False
        self._seconds = 0.0
        self.page_record = PageRecord()
        self.faults: Counter[str] = Counter()

    async def run(self) -> None:
        """Let the machines live as often as it takes, and check what came of it."""
        SITE.set(self.site)
        ENVIRONMENT.set(self._environment)
        with self._everything, trio.move_on_after(LONGEST_SECONDS) as patience:
            async with trio.open_nursery() as weather:
                for trouble in (self._break_things, self._break_code, self._requester.work):
                    weather.start_soon(trouble)
                async with trio.open_nursery() as world:
                    for machine in self._machines.values():
                        world.start_soon(self._keep_alive, machine)
                    for number in range(self._person_count):
                        self._come(world, f"person-{number}")
                self._seconds = trio.current_time()
                weather.cancel_scope.cancel()
        assert not self._is_spinning, f"a loop does not wait: {self._statuses()}"
        assert not patience.cancelled_caught, f"it did not end: {self._statuses()}"
        self._check()

    def outcome(self) -> Simulated:
        """Return the result."""
        return Simulated(
            self.seed,
            self._store.log.head(),
            self._seconds,
            sum(machine.lives for machine in self._machines.values()),
            self.page_record.requests,
            self.faults + self._record.done,
            self.site.done + self._requester.told.done,
        )

    def spin(self) -> None:
        """End it: something runs in circles."""
        self._is_spinning = True
        self._everything.cancel()

    def _check(self) -> None:
        log, told = self._store.log, self._requester.told
        told.unscripted = told.ended  # at the desk, if no operator drove them then
        check_log(log)
        check_requests(log, told, is_shared=True)
        check_pages(log, self.page_record, self._environment, self._run_of, told)
        check_money(log, self.site)
        check_rules(log, self.page_record)
        maximum = max(job.plan.maximum_units for job in self._jobs)
        check_common(log, self._record, {job.task_name for job in self._jobs if job.is_standby}, maximum)

    # Operators ------------------------------------------------------------------------------------------------------

    async def _keep_alive(self, machine: Machine) -> None:
        while True:
            if await machine.live():
                return
            await trio.sleep(self._faults_chance.uniform(*DOWN_SECONDS))

    async def _operate(self, machine: str, process: Process) -> bool:
        """Run what a machine is to run; True once all of it has ended, and everything is reviewed and paid."""
        jobs, operator = [job for job in self._jobs if machine in job.machines], process.operator
        async with trio.open_nursery() as launches:
            for job in jobs:
                if not self._has_ended(process.ledger.state, job):
                    launches.start_soon(self._launch, operator, job)
        await operator.wait_for_runs_then_shutdown(log_rate=None)
        while not self._requester.done.is_set() and self._have_ended(process.ledger.state, jobs):
            await self._requester.acted.wait()
        return self._have_ended(process.ledger.state, jobs)

    async def _launch(self, operator: Operator, job: SharedJob) -> None:
        state, own = shared_state(job.plan, self._environment), None if job.is_standby else self._own_run(operator, job)
        try:
            if own is None:
                run = await operator.launch_task_run_or_die(job.config(), state)
            else:
                run = await operator.launch_from_incomplete_run(own, state)
        except CommandRefusedError:
            return  # it is being ended at the desk, or was ended meanwhile
        except LaunchError as error:
            if PAUSE_REASON not in str(error):
                raise
            return  # paused before workers could come: the next process resumes it
        self._run_of[job.plan] = int(run)
        self._opened[job.plan].set()

    def _own_run(self, operator: Operator, job: SharedJob) -> TaskRunId | None:
        """Return the run of a job that an earlier process of the machine has launched, if it can be resumed."""
        ledger = operator.ledger
        for run in reversed(ledger.state.runs_of(job.task_name)):
            created = ledger.log.history(streams.task_run(run))[0].envelope.event
            if isinstance(created, TaskRunCreated) and f'"{job.plan.name}"' in created.config:
                status = ledger.state.task_runs[streams.task_run(run)].status
                return run if status in RESUMABLE_RUN_STATUSES else None
        return None

    def _have_ended(self, state: DecisionState, jobs: Sequence[SharedJob]) -> bool:
        return all(self._has_ended(state, job) for job in jobs)

    def _has_ended(self, state: DecisionState, job: SharedJob) -> bool:
        run = self._run_of.get(job.plan)
        found = None if run is None else state.task_runs.get(streams.task_run(TaskRunId(run)))
        return found is not None and found.status in ENDED_RUN_STATUSES

    # People ---------------------------------------------------------------------------------------------------------

    async def _sit_at_the_desk(self, process: Process) -> bool:
        """Let people act who have no operator; True once they have done everything."""
        executor = request_executor(self._folder / DATABASE_FILE, process.ledger, process.ids, process.operator)
        process.ledger.subscribe(lambda _: self._hear_of_runs(process.ledger.state))
        self._hear_of_runs(process.ledger.state)
        self._requester.open(Office(executor, process.ledger.state, process.nursery))
        for act in (self._look_after, self._interrupt):
            process.nursery.start_soon(act, executor, process.ledger.state)
        try:
            with trio.move_on_after(self._people_chance.uniform(*DESK_SECONDS)):
                await self._requester.done.wait()
        finally:
            self._requester.close()
        return self._requester.done.is_set()

    def _hear_of_runs(self, state: DecisionState) -> None:
        for plan, run in self._run_of.items():
            if state.task_runs.get(streams.task_run(TaskRunId(run))) is not None:
                self._known_runs[plan] = run

    async def _look_after(self, executor: RequestExecutor, state: DecisionState) -> None:
        """Be the person who repairs the code once it has failed, and has it asked again."""
        while True:
            await trio.sleep(self._people_chance.uniform(*REPAIR_SECONDS))
            for run in [TaskRunId(run) for run in self._known_runs.values()]:
                found = state.task_runs[streams.task_run(run)]
                if found.admission_paused_by is not None or found.failures:
                    self._environment.is_broken = False
                    await self._request(executor, RetryRequest(task_run=run))

    async def _interrupt(self, executor: RequestExecutor, state: DecisionState) -> None:
        """Be somebody who needs the machines for something else now and then."""
        chance = self._people_chance
        while self._interruptions < INTERRUPTIONS_LIMIT:
            await trio.sleep(chance.uniform(*LEFT_ALONE_SECONDS))
            runs = [TaskRunId(run) for run in self._known_runs.values()]
            live = [run for run in runs if state.task_runs[streams.task_run(run)].status is TaskRunStatus.LIVE]
            if live:
                run = chance.choice(live)
                self._interruptions += 1
                if chance.random() < 0.3:
                    self._requester.told.ended.add(run)
                    await self._request(
                        executor, EndRequest(task_run=run, reason="enough", at_once=chance.random() < 0.5)
                    )
                else:
                    drain = chance.random() < 0.5
                    await self._request(executor, PauseRequest(task_run=run, reason=PAUSE_REASON, drain=drain))

    async def _request(self, executor: RequestExecutor, request: AnyRequest) -> None:
        """Make a request, once; it may be refused."""
        self._requests += 1
        with suppress(CommandRefusedError, LogError):
            await executor.execute(request, AUTHOR, f"second-{self._requests}")
            self.faults[f"{type(request).__name__} from another machine"] += 1

    def _come(self, world: trio.Nursery, name: str) -> None:
        """Let somebody come to all jobs."""
        runs = Counter(job.task_name for job in self._jobs)
        places = {task: Together(count, self._people_chance) for task, count in runs.items() if count > 1}
        for job in self._jobs:
            world.start_soon(self._person, job, name, places.get(job.task_name))

    async def _person(self, job: SharedJob, name: str, together: Together | None) -> None:
        """Come to a job; people who come to all runs of a task come at the same time."""
        for other in self._jobs:
            if other.task_name == job.task_name:
                await self._opened[other.plan].wait()
        returns = 0
        while True:
            person = Person(
                name if returns == 0 else f"{name}/{returns}",
                job.plan,
                self._routers_of,
                self._people_chance,
                self.page_record,
                meet=None if together is None else together.meet,
            )
            await person.work()
            if self._requester.done.is_set():
                return
            # The run may be extended.
            returns += 1
            await trio.sleep(COME_BACK_SECONDS)

    def _routers_of(self, job: JobPlan) -> list[Router]:
        return self._environment.routers[self._run_of[job]]

    # Faults ---------------------------------------------------------------------------------------------------------

    async def _break_code(self) -> None:
        """Break the script's code now and then."""
        for _ in range(self._code_chance.randint(0, 4)):
            await trio.sleep(self._code_chance.uniform(*BROKEN_SECONDS))
            self._environment.is_broken = True

    async def _break_things(self) -> None:
        chance = self._faults_chance
        for _ in range(chance.randint(0, FAULTS_LIMIT)):
            await trio.sleep(chance.expovariate(1 / FAULT_SECONDS))
            self._record.disturbed.append(trio.current_time())
            await self._break_something(self._machines[chance.choice((*OPERATORS, *OPERATORS, DESK))])
            self._record.disturbed.append(trio.current_time())

    async def _break_something(self, machine: Machine) -> None:
        chance, log = self._faults_chance, machine.log
        match chance.randrange(6):
            case 0:
                self.faults["machine killed"] += 1
                machine.kill()
            case 1:
                self.faults["machine stopped"] += 1
                await machine.stop(chance.uniform(*STOPPED_SECONDS))
            case 2 if log is not None:
                log.loss = Loss(is_written=chance.random() < 0.5, is_final=chance.random() < 0.3)
                self.faults[f"connection lost {'after' if log.loss.is_written else 'before'} COMMIT"] += 1
            case 3 if log is not None:
                self.faults["slow server"] += 1
                log.is_slow = True
            case 4:
                self.faults["connection to the router cut"] += 1
                machine.cut_channels()
            case _:
                self.faults["router killed"] += 1
                for router in self._environment.all_routers:
                    router.crash()
                await trio.sleep(chance.uniform(*DOWN_SECONDS))
                for router in self._environment.all_routers:
                    router.start()

    def _statuses(self) -> dict[str, str]:
        """Describe the runs, for finding out why a simulation does not end."""
        state = DecisionState()
        for recorded in self._store.log.read():
            state.apply(recorded.envelope)
        return {stream: f"{run.status.value} {self._record.drivers}" for stream, run in state.task_runs.items()}
