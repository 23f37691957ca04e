"""A sealed log with any number of units, their proofs, and forgeries of these, which every verifier must refuse."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

import msgspec

from mephisto_es.core.chain import ChainRow
from mephisto_es.events import streams
from mephisto_es.events.agent import AgentAccepted, AgentReturned, AgentStarted, AgentSubmitted
from mephisto_es.events.assignment import AssignmentCreated, AssignmentLabelled, LabelSource
from mephisto_es.events.base import PayloadRef, kind_of
from mephisto_es.events.catalogue import AnyEvent
from mephisto_es.events.codec import encode
from mephisto_es.events.envelope import Envelope
from mephisto_es.events.ids import AgentId, AssignmentId, TaskRunId, UnitId, WorkerId
from mephisto_es.events.unit import UnitAssigned, UnitCompleted, UnitCreated, UnitLaunched, UnitReleased
from mephisto_es.projections.sealing.checkpoint import sign_checkpoint
from mephisto_es.projections.sealing.notes import Sign, VerifierKey
from mephisto_es.projections.sealing.sealed_log import SealedLog
from mephisto_es.projections.sealing.unit_proof import prove_unit

RUN = TaskRunId(3)
_NOTHING = PayloadRef("0" * 64, 0)


class SealedUnits(NamedTuple):
    """A log, and its seal."""

    log: SealedLog
    seal: str
    units: int

    def proof(self, unit: int) -> str:
        """Return the proof of a unit, from 1 on, as `mephisto-es prove` writes it."""
        return msgspec.json.encode(prove_unit(self.log, RUN, UnitId(unit), self.seal)).decode()


def sealed_units(count: int, key: VerifierKey, sign: Sign) -> SealedUnits:
    """Return a sealed log in which the units take turns; some come back, some get a label by hand."""
    lives = [list(_life(number)) for number in range(1, count + 1)]
    random = Random(count)
    versions: dict[str, int] = {}
    rows: list[ChainRow] = []
    while lives:
        life = random.choice(lives)
        stream, event = life.pop(0)
        if not life:
            lives.remove(life)
        version = versions[stream] = versions.get(stream, 0) + 1
        seq = len(rows) + 1
        envelope = Envelope(
            stream=stream, version=version, at=seq, command=f"c/{seq}", ordinal=0, actor="operator", event=event
        )
        kind = kind_of(type(event))
        rows.append(ChainRow(seq, encode(envelope), bytes(32), 1, stream, version, kind, seq, f"c/{seq}"))
    log = SealedLog(rows, keep=("unit/", "assignment/", "agent/"))
    return SealedUnits(log, sign_checkpoint(log.checkpoint(key.name), key, sign), count)


def _life(number: int) -> Iterator[tuple[str, AnyEvent]]:
    unit, agent = UnitId(number), AgentId(2 * number)
    of_unit, of_assignment = streams.unit(RUN, unit), streams.assignment(RUN, AssignmentId(number))
    yield of_assignment, AssignmentCreated(assignment=AssignmentId(number), number=number - 1, data=_NOTHING)
    yield of_unit, UnitCreated(unit=unit, assignment=AssignmentId(number), index=0, pay_cents=5)
    yield of_unit, UnitLaunched()
    if number % 3 == 0:
        yield from _accept(number, AgentId(2 * number - 1))
        yield streams.agent(RUN, AgentId(2 * number - 1)), AgentReturned(reason="returned")
        yield of_unit, UnitReleased(agent=AgentId(2 * number - 1), reason="returned")
    yield from _accept(number, agent)
    yield streams.agent(RUN, agent), AgentStarted()
    yield streams.agent(RUN, agent), AgentSubmitted(submission=_NOTHING)
    yield of_unit, UnitCompleted(agent=agent)
    if number % 2 == 0:
        yield (
            of_assignment,
            AssignmentLabelled(
                question="rating", label=_NOTHING, source=LabelSource.ADJUDICATION, units=(unit,), reviewer="user/ann"
            ),
        )


def _accept(number: int, agent: AgentId) -> Iterator[tuple[str, AnyEvent]]:
    unit, assignment, worker = UnitId(number), AssignmentId(number), WorkerId(number % 7 + 1)
    yield streams.unit(RUN, unit), UnitAssigned(agent=agent, worker=worker)
    yield (
        streams.agent(RUN, agent),
        AgentAccepted(
            agent=agent, unit=unit, assignment=assignment, worker=worker, token=f"t{agent}", registration=f"r{agent}"
        ),
    )


# Forgeries ----------------------------------------------------------------------------------------------------------


def forgeries(sealed: SealedUnits, other_seal: str, count: int, seed: int) -> Iterator[tuple[str, str]]:
    """Yield names and texts of forged proofs.

    Args:
        sealed: the log.
        other_seal: a seal of the same log by another key of the same name.
        count: how many.
        seed: chooses what is changed.
    """
    random = Random(seed)
    kinds: list[Callable[[Any, Any, Random], Any]] = [
        *(_leave_out_event, _leave_out_stream, _swap_unit, _mix_units, _change_event, _swap_hashes, _drop_hash),
        *(
            _leave_out_label,
            _other_assignment,
            _move_event,
            _understate,
            _change_size,
            _change_root,
            _add_event,
            _change_streams,
        ),
    ]
    for number in range(count):
        one, another = (json.loads(sealed.proof(unit)) for unit in random.sample(range(1, sealed.units + 1), 2))
        match number % (len(kinds) + 3):
            case 0:
                yield "letter", _change_letter(json.dumps(one), random)
            case 1:
                yield "key", json.dumps(one).replace(json.dumps(sealed.seal)[1:-1], json.dumps(other_seal)[1:-1])
            case 2:
                yield "signature", json.dumps(one).replace(*_changed_signature(sealed.seal, random))
            case kind:
                forge = kinds[kind - 3]
                yield forge.__name__, json.dumps(forge(one, another, random))


def _change_letter(text: str, random: Random) -> str:
    index = random.choice([index for index, letter in enumerate(text) if letter.isalnum()])
    return text[:index] + ("x" if text[index] != "x" else "y") + text[index + 1 :]


def _changed_signature(seal: str, random: Random) -> tuple[str, str]:
    blob = seal.rstrip("\n").rpartition(" ")[2]
    index = random.randrange(len(blob) - 4)
    return blob, blob[:index] + ("A" if blob[index] != "A" else "B") + blob[index + 1 :]


def _leave_out_event(one: Any, _: Any, random: Random) -> Any:
    one["events"].pop(random.randrange(len(one["events"])))
    return one


def _leave_out_stream(one: Any, _: Any, random: Random) -> Any:
    name = one["streams"].pop(random.randrange(len(one["streams"])))["stream"]
    one["events"] = [each for each in one["events"] if json.loads(each["event"])["stream"] != name]
    return one


def _leave_out_label(one: Any, another: Any, random: Random) -> Any:
    """Leave out all that happened to the assignment."""
    one["streams"] = [each for each in one["streams"] if not each["stream"].startswith("assignment/")]
    one["events"] = [
        each for each in one["events"] if not json.loads(each["event"])["stream"].startswith("assignment/")
    ]
    return one


def _other_assignment(one: Any, another: Any, random: Random) -> Any:
    """Show what happened to the assignment of another unit in place of its own."""
    _leave_out_label(one, another, random)
    one["streams"] += [each for each in another["streams"] if each["stream"].startswith("assignment/")]
    one["events"] += [
        each for each in another["events"] if json.loads(each["event"])["stream"].startswith("assignment/")
    ]
    return one


def _swap_unit(one: Any, another: Any, _: Random) -> Any:
    return one | {"unit": another["unit"]}


def _mix_units(one: Any, another: Any, _: Random) -> Any:
    return one | {"events": another["events"]}


def _change_event(one: Any, _: Any, random: Random) -> Any:
    event = random.choice(one["events"])
    event["event"] = event["event"].replace('"actor":"operator"', '"actor":"reviewer"')
    return one


def _swap_hashes(one: Any, _: Any, random: Random) -> Any:
    event = random.choice(one["events"])
    lines = event["proof"].split("\n")
    lines[2], lines[3] = lines[3], lines[2]
    event["proof"] = "\n".join(lines)
    return one


def _drop_hash(one: Any, _: Any, random: Random) -> Any:
    event = random.choice(one["events"])
    lines = event["proof"].split("\n")
    event["proof"] = "\n".join(lines[:2] + lines[3:])
    return one


def _move_event(one: Any, _: Any, random: Random) -> Any:
    event = random.choice(one["events"])
    lines = event["proof"].split("\n")
    lines[1] = f"index {int(lines[1][6:]) + 1}"
    event["proof"] = "\n".join(lines)
    return one


def _understate(one: Any, _: Any, random: Random) -> Any:
    """Say that a stream has one event less, and leave that one out."""
    stream = random.choice(one["streams"])
    dropped = (stream["stream"], stream["version"])
    stream["version"] -= 1
    kept = [(json.loads(each["event"]), each) for each in one["events"]]
    one["events"] = [each for event, each in kept if (event["stream"], event["version"]) != dropped]
    return one


def _reseal(one: Any, change: Callable[[list[str]], None]) -> Any:
    """Change lines of the seal wherever it is."""
    lines = one["seal"].split("\n")
    change(lines)
    seal = "\n".join(lines)
    for event in one["events"]:
        event["proof"] = event["proof"].replace(one["seal"], seal)
    return one | {"seal": seal}


def _change_size(one: Any, _: Any, random: Random) -> Any:
    def change(lines: list[str]) -> None:
        lines[1] = str(int(lines[1]) + random.choice((-1, 1)))

    return _reseal(one, change)


def _change_root(one: Any, another: Any, random: Random) -> Any:
    def change(lines: list[str]) -> None:
        lines[2] = random.choice(another["streams"])["path"][0]

    return _reseal(one, change)


def _change_streams(one: Any, another: Any, random: Random) -> Any:
    def change(lines: list[str]) -> None:
        lines[3] = f"{lines[3].rpartition(' ')[0]} {random.choice(another['streams'])['path'][0]}"

    return _reseal(one, change)


def _add_event(one: Any, another: Any, random: Random) -> Any:
    one["events"].append(random.choice(another["events"]))
    return one
