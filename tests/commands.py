"""A command that no product code has: it appends the events that it holds. And decisions that check what they get."""

from __future__ import annotations

from collections.abc import Sequence

from mephisto_es.core.commands.base import Command, CommandRequest
from mephisto_es.core.commands.catalogue import decode_command, encode_command
from mephisto_es.core.decisions.registry import DECISIONS, Decision, Decisions, decision
from mephisto_es.core.ports import NewEvent, Payload
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events.streams import partition_of


class AppendEvents(Command, frozen=True, kw_only=True, tag="append_events"):
    """Append events as they are; the lifecycles alone decide."""

    events: tuple[NewEvent, ...]

    @property
    def partitions(self) -> tuple[str, ...]:
        return tuple(sorted({partition_of(stream) for stream, _ in self.events}))


def _decide_append_events(_: DecisionState, command: AppendEvents) -> Sequence[NewEvent]:
    return command.events


#: The product's decisions, and the one of `AppendEvents`.
TEST_DECISIONS = {**DECISIONS, **dict([decision(AppendEvents, _decide_append_events)])}


def append(
    command_id: str,
    *events: NewEvent,
    actor: str = "tester",
    idempotent: bool = False,
    payloads: tuple[Payload, ...] = (),
) -> CommandRequest[AppendEvents]:
    """Return a request that appends events, for a ledger with `TEST_DECISIONS`."""
    return CommandRequest(
        id=command_id, actor=actor, command=AppendEvents(events=events), idempotent=idempotent, payloads=payloads
    )


def _checked(decide: Decision) -> Decision:
    def check(state: DecisionState, command: Command) -> Sequence[NewEvent]:
        received = decode_command(encode_command(command))
        assert received == command
        events = decide(state, received)
        assert {partition_of(stream) for stream, _ in events} <= set(command.partitions), command
        return events

    return check


#: The product's decisions, made on what comes back from a command's JSON. Each writes to the partitions that its
#: command names, and to no other.
CHECKED_DECISIONS: Decisions = {command: _checked(decide) for command, decide in DECISIONS.items()}
