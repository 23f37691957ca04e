"""The invariants: they must hold whatever happened."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import msgspec
import sqlite_utils

from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.adapters.log.sqlite.reader import LogReader
from mephisto_es.core.chain import link
from mephisto_es.core.ledger import Ledger
from mephisto_es.core.lifecycles.agent import LIVE_AGENT_STATUSES
from mephisto_es.core.lifecycles.engagement import VALIDATE_ONBOARDING
from mephisto_es.core.lifecycles.resource import ResourceStatus
from mephisto_es.core.lifecycles.task_run import TaskRunStatus
from mephisto_es.core.lifecycles.unit import OPEN_UNIT_STATUSES
from mephisto_es.core.lifecycles.worker import WorkerStatus
from mephisto_es.core.operations.client_io_handler import DRAIN_SECONDS
from mephisto_es.core.operations.run.live_task_run import OUT_OF_BUDGET
from mephisto_es.core.operations.worker_pool import PAGE_GONE
from mephisto_es.core.payloads import FILES_FOLDER
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events import streams
from mephisto_es.events.agent import (
    AgentAccepted,
    AgentDisconnected,
    AgentFileLost,
    AgentFileStored,
    AgentSubmitted,
    AgentSubmittedAgain,
    AgentSubmittedLate,
    AgentUpdateReceived,
)
from mephisto_es.events.engagement import VerdictsRevoked
from mephisto_es.events.ids import TaskRunId, WorkerId
from mephisto_es.events.onboarding import OnboardingDisconnected, OnboardingUpdateReceived
from mephisto_es.events.task_run import TaskRunStopping
from mephisto_es.events.worker import WorkerErased
from mephisto_es.projections.engine import rebuild

from .answers import ScriptAnswers
from .crowd import PageRecord
from .faults import QuickProjection, Router
from .job import Environment, JobPlan
from .office import Requests

#: A log that nobody writes to any more.
StoredLog = MemoryLog | LogReader

#: Printed by a long simulation: what was checked.
INVARIANTS = (
    "every prefix of the log is legal: chain, versions, steps of lifecycles, times that never fall",
    "no unit ever has two live agents",
    "each event keeps the rules of work and pay, and is in a chain that covers position, writer and event",
    "everything that was acknowledged is in the log that a power cut leaves",
    "the view that was kept equals the view built anew, and the operator's state the fold of the log",
    "every submission that was acknowledged is in the log exactly once, and no other is",
    "every file that was uploaded with it is in the folder of its run",
    "every request of a page is answered; the same registration gets the same agent",
    "what pages and the site are told is in the log by then, and a page that is loaded again shows what it submitted",
    "a command that is illegal in part, or meant for another state, leaves nothing, and stops no operator",
    "each of a pair hears all that the other said, once and in order",
    "no page that is open at any router is taken for gone",
    "the script is told of each submission, and its answer is recorded once",
    "every request of the requester is executed once, and every verdict, block and erasure is what was asked for last",
    "no payment is made twice or missing, the site's books equal the log's, and no budget is exceeded",
    "items get as many answers as their rule says, and who fails a screening or gold units gets no more work",
    "every run ends completed, nothing open in it, its server released, its router's outbox empty",
)


def check_log(log: StoredLog) -> None:
    """The log is legal, prefix by prefix, and no unit ever has two agents at work."""
    state, chain, at = DecisionState(), log.genesis, 0
    at_work: dict[str, set[str]] = {}
    for row, recorded in zip(log.raw(), log.read(), strict=True):
        envelope = recorded.envelope
        chain = link(chain, row.seq, row.epoch, row.data)
        assert row.chain == chain, f"seq {row.seq}: the chain is broken"
        assert envelope.at >= at, f"seq {row.seq}: time fell"
        at = envelope.at
        state.apply(envelope)
        if envelope.stream.startswith("agent/"):
            agent = state.agents[envelope.stream]
            unit = streams.unit(TaskRunId(int(envelope.stream.split("/")[1])), agent.unit)
            holders = at_work.setdefault(unit, set())
            (holders.add if agent.status in LIVE_AGENT_STATUSES else holders.discard)(envelope.stream)
            assert len(holders) <= 1, f"seq {row.seq}: {unit} has {sorted(holders)}"
    found = state.workers_by_identity.values()
    erased = [one for one in found if state.workers[streams.worker(one)].status is WorkerStatus.ERASED]
    assert not erased, f"whoever has the name of the erased workers {erased} is taken for them"


def check_view(log: StoredLog) -> None:
    """The tables are what they would be if they were built from the log alone."""
    fresh = sqlite3.connect(":memory:", isolation_level=None)
    projection = QuickProjection()
    rebuild.build(fresh, [projection], log.read(), log.payload)
    for table in sqlite_utils.Database(fresh).table_names():
        found = [str(difference) for difference in rebuild.differences(log.connect(), fresh, table)]
        assert not found, f"the view differs in {table}: {found[:3]}"
    fresh.close()


def check_ledger(ledger: Ledger, until: int | None = None) -> None:
    """The operator's state is the one that the log gives, to its end or up to a position.

    That holds while the whole state is durable: see `Ledger.call_when_durable`.
    """
    state = DecisionState()
    for recorded in ledger.log.read(until=until):
        state.apply(recorded.envelope)
    for name, family in vars(state).items():
        if name != "_folds":
            live = getattr(ledger.state, name)
            live, folded = (dict(one.items()) if hasattr(one, "fold") else one for one in (live, family))
            assert live == folded, f"the operator's {name} are not those of the log"


def check_pages(
    log: StoredLog, page_record: PageRecord, environment: Environment, runs: Mapping[JobPlan, int], told: Requests
) -> set[str]:
    """The log has everything that pages were promised, and everything that was begun is ended.

    Returns:
        The tokens of agents whose work was erased.
    """
    state = DecisionState()
    gone = {_worker_of(one.envelope.stream) for one in log.read() if isinstance(one.envelope.event, WorkerErased)}
    submitted: Counter[tuple[str, str]] = Counter()
    short: set[TaskRunId] = set()
    updates: set[tuple[str, str]] = set()
    readmitted: Counter[WorkerId] = Counter()
    answers = ScriptAnswers()
    for recorded in log.read():
        state.apply(recorded.envelope)
        answers.enter(state, recorded.envelope)
        event = recorded.envelope.event
        if isinstance(event, AgentSubmitted | AgentSubmittedAgain | AgentSubmittedLate):
            body, agent = log.payload(event.submission), state.agents[recorded.envelope.stream]
            assert (body is None) == (agent.worker in gone), f"the work of worker-{agent.worker} was not erased, or was"
            if body is not None:
                submitted[agent.token, _plain(msgspec.json.decode(body))] += 1
        elif isinstance(event, AgentDisconnected | OnboardingDisconnected) and event.reason == PAGE_GONE:
            token = _token_of(state, recorded.envelope.stream)
            assert token in page_record.left, f"the page of {token} was there, and was taken for gone"
        elif isinstance(event, AgentUpdateReceived | OnboardingUpdateReceived):
            updates.add((_token_of(state, recorded.envelope.stream), event.update_id))
        elif isinstance(event, TaskRunStopping) and event.reason == OUT_OF_BUDGET:
            short.add(streams.run_of(recorded.envelope.stream))
        elif isinstance(event, VerdictsRevoked) and event.callback == VALIDATE_ONBOARDING:
            readmitted[state.engagements[recorded.envelope.stream].worker] += 1
    erased = {agent.token for agent in state.agents.values() if agent.worker in gone}
    accepted = Counter(
        (token, _plain(work))
        for router in environment.all_routers
        for token, work in router.accepted
        if token not in erased
    )
    # A run that is ended at once does not wait for long for a router that is away, which keeps what it has. That may be
    # what a page has sent again, after the operator got it the first time.
    in_ended = _tokens_in(state, told.ended)
    kept = Counter(
        (packet["subject_id"], _plain(packet["data"].get("final_data")))
        for router in environment.all_routers
        for packet in router.left
        if packet["subject_id"] in in_ended
    )
    lost, doubled = accepted - submitted - kept, submitted - accepted
    assert (lost, doubled) == (Counter(), Counter()), f"lost {lost}, doubled {doubled}"
    _check_outboxes(environment, submitted, updates, erased | in_ended)
    _check_agents(state, page_record, told, readmitted, is_ordered=environment.router_count == 1)
    _check_ends(state, environment, runs, told, short)
    answers.check(state, environment, told)
    return erased


def check_uploads(log: StoredLog, routers: Sequence[Router], folder: Path, forgotten: set[str]) -> None:
    """Every file that was uploaded with accepted work is in the folder of its run, as it was sent.

    Args:
        log: the log.
        routers: all routers.
        folder: that of the runs.
        forgotten: tokens of agents whose files may be gone.
    """
    named: Counter[str] = Counter()
    logged: set[str] = set()
    stored: set[str] = set()
    token_of: dict[str, str] = {}
    for recorded in log.read():
        match recorded.envelope.event:
            case AgentAccepted(token=token):
                token_of[recorded.envelope.stream] = token
            case AgentSubmitted(files=files) | AgentSubmittedAgain(files=files) | AgentSubmittedLate(files=files):
                if token_of[recorded.envelope.stream] not in forgotten:
                    named.update(file.sha256 for file in files or ())
                    logged.update(file.filename for file in files or ())
            case AgentFileStored(filename=name):
                stored.add(name)
            case AgentFileLost(filename=name, reason=reason):
                raise AssertionError(f"file {name} was lost: {reason.value}")
            case _:
                pass
    uploaded = [(token, file) for router in routers for token, files in router.uploaded for file in files]
    # Of work that no operator got from its router, which `check_pages` allows for runs that were ended at once.
    left = [packet["data"].get("files", ()) for router in routers for packet in router.left]
    kept = {file["filename"] for files in left for file in files} - logged
    sent = [(token, file) for token, file in uploaded if token not in forgotten and file[0] not in kept]
    assert named == Counter(digest for _, (_, digest) in sent), "the log names other files than were uploaded"
    for token, (name, digest) in sent:
        assert name in stored, f"file {name} of {token} was not stored"
        found = [path.read_bytes() for path in folder.glob(f"*/{FILES_FOLDER}/*/{name}")]
        assert [sha256(content).hexdigest() for content in found] == [digest], f"file {name} of {token} is another one"


def _token_of(state: DecisionState, stream: str) -> str:
    agent = state.agents.get(stream)
    return state.onboardings[stream].token if agent is None else agent.token


def _worker_of(stream: str) -> WorkerId:
    return WorkerId(int(stream.rpartition("/")[2]))


def _tokens_in(state: DecisionState, runs: Collection[TaskRunId]) -> set[str]:
    working = {agent.token for stream, agent in state.agents.items() if streams.run_of(stream) in runs}
    return working | {one.token for stream, one in state.onboardings.items() if streams.run_of(stream) in runs}


def _check_outboxes(
    environment: Environment,
    submitted: Mapping[tuple[str, str], int],
    updates: Collection[tuple[str, str]],
    forgotten: Collection[str],
) -> None:
    """Nothing is left in a router, unless it was away for too long at the end; then nothing but what the log has.

    Args:
        environment: has the routers.
        submitted: all work that the log has.
        updates: the tokens and ids of all live updates that it has.
        forgotten: tokens of agents who were erased, or whose run was ended, which does not wait for a router that is
            away.
    """
    for router in environment.all_routers:
        for packet in router.left:
            work = packet["data"].get("final_data")
            token = packet["subject_id"]
            if token in forgotten:
                continue
            # A router that still has something is not released by its run.
            left = f"{router.incarnation} is left with {packet['packet_type']} of {token}"
            assert router.away_seconds >= DRAIN_SECONDS, f"{left}, and was not away for long"
            # These say that something is over, which it is by now, whether the operator has heard it or not.
            is_recorded = packet["packet_type"] in ("submit_onboarding", "return_unit")
            is_recorded |= (token, _plain(work)) in submitted
            is_recorded |= (token, packet["data"].get("update_id", "")) in updates
            assert is_recorded, f"{left}, which the log does not have"


def _check_agents(
    state: DecisionState, page_record: PageRecord, told: Requests, readmitted: Counter[WorkerId], *, is_ordered: bool
) -> None:
    forgotten = {one.token for one in state.agents.values() if one.worker in told.erased}
    forgotten |= {one.token for one in state.onboardings.values() if one.worker in told.erased}
    for registration, tokens in page_record.agents.items():
        if forgotten.intersection(tokens):
            continue  # who comes back is somebody else
        work = [token for token in tokens if not token.startswith("onboarding")]
        assert len(work) <= 1, f"{registration} got several agents"
        workers = {one.worker for one in state.onboardings.values() if one.token in tokens}
        allowed = 1 + max((readmitted[worker] for worker in workers), default=0)
        assert len(tokens) - len(work) <= allowed, f"{registration} was onboarded twice"
    for token, heard in page_record.heard.items():
        expected = [f"{heard[0].split(':')[0]}: {number}" for number in range(1, len(heard) + 1)] if heard else []
        # What was said through a router that died arrives after what was said through another one.
        found = heard if is_ordered else sorted(heard)
        assert found == expected, f"{token} heard {heard}"


def _check_ends(
    state: DecisionState, environment: Environment, runs: Mapping[JobPlan, int], told: Requests, short: set[TaskRunId]
) -> None:
    for job, number in runs.items():
        run = TaskRunId(number)
        index = state.runs[run]
        status = state.task_runs[streams.task_run(run)].status
        assert status is TaskRunStatus.COMPLETED, f"{job.name} ended {status.value}"
        assert index.is_idle, f"{job.name} is not idle"
        expected = job.assignments + told.added.get(run, 0)
        if run in told.ended or run in short:
            expected = min(expected, len(index.assignments))
        assert len(index.assignments) == expected, f"{job.name} has {len(index.assignments)} assignments"
        units = [state.units[streams.unit(run, unit)] for units in index.units_of.values() for unit in units]
        ordinary = sum(unit.index >= 0 for unit in units)
        if job.label_plan is None:
            assert ordinary == expected * job.seats, f"{job.name} has {ordinary} units for {expected} items"
        assert not [unit for unit in units if unit.status in OPEN_UNIT_STATUSES]
        resources = [server for stream, server in state.resources.items() if stream.startswith(f"resource/{run}/")]
        assert resources
        assert all(server.status is ResourceStatus.RELEASED for server in resources), f"{job.name} has left a server"


def _plain(work: object) -> str:
    return msgspec.json.encode(work, order="sorted").decode()
