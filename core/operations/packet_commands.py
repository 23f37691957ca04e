"""Translates outbox packets into ledger commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

import msgspec

from ...events import streams
from ...events.agent import AgentMetadataReceived, AgentReturned, AgentUpdateReceived
from ...events.base import FileRef
from ...events.ids import TaskRunId
from ...events.onboarding import OnboardingSubmitted, OnboardingUpdateReceived
from ..decisions.end_work import decide_leave, decide_submit
from ..ledger import Command
from ..lifecycles.agent import AgentState
from ..lifecycles.onboarding import OnboardingState
from ..packets import (
    UNREADABLE,
    LiveUpdate,
    ReturnUnit,
    SubmitMetadata,
    SubmitOnboarding,
    SubmitUnit,
    is_readable,
)
from ..payloads import seal
from ..ports import Ids, NewEvent, Payload
from ..state.decision_state import DecisionState

OutboxPackets = SubmitUnit | SubmitOnboarding | SubmitMetadata | LiveUpdate | ReturnUnit

_NOTHING = msgspec.Raw(b"null")


class _Identified(msgspec.Struct):
    #: A string, if the page follows the protocol.
    update_id: object = None


class PacketCommands:
    """Translates the packets of one run. The commands lack id and actor, which depend on the router."""

    def __init__(self, run: TaskRunId, ids: Ids, *, concurrent: bool) -> None:
        """Keep the parts.

        Args:
            run: the run.
            ids: source of salts.
            concurrent: whether the units of an assignment are worked on together.
        """
        self._run = run
        self._ids = ids
        self._concurrent = concurrent

    def command_of(self, agent: AgentState | OnboardingState, packet: OutboxPackets) -> Command | None:
        """Return the command for a packet; None if it is malformed or does not fit its agent."""
        if not is_readable(_body_of(packet)):
            return None
        if isinstance(agent, AgentState):
            return self._of_agent(agent, packet)
        return self._of_onboarding(agent, packet)

    def _of_agent(self, agent: AgentState, packet: OutboxPackets) -> Command | None:
        run, agent_id = self._run, agent.agent
        stream = streams.agent(run, agent_id)
        match packet:
            case SubmitUnit():
                payload = self._sealed(packet.data.final_data, agent)
                files = tuple(
                    FileRef(filename=file.filename, size=file.size, sha256=file.sha256)
                    for file in packet.data.files or ()
                )
                return _command(lambda state: decide_submit(state, run, agent_id, payload.ref, files), payload)
            case LiveUpdate():
                return self._of_update(agent, stream, packet.data)
            case SubmitMetadata():
                payload = self._sealed(packet.data, agent)
                return _command(lambda _: [NewEvent(stream, AgentMetadataReceived(metadata=payload.ref))], payload)
            case ReturnUnit():
                concurrent, leaving = self._concurrent, AgentReturned(reason="the worker gave the work back")
                return _command(lambda state: decide_leave(state, run, agent_id, leaving, concurrent=concurrent))
            case SubmitOnboarding():
                return None
            case _:
                assert_never(packet)

    def _of_onboarding(self, agent: OnboardingState, packet: OutboxPackets) -> Command | None:
        stream = streams.onboarding_agent(self._run, agent.agent)
        match packet:
            case SubmitOnboarding():
                payload = self._sealed(packet.data.onboarding_data, agent)
                submitted = OnboardingSubmitted(submission=payload.ref, request=packet.data.request_id)
                return _command(lambda _: [NewEvent(stream, submitted)], payload)
            case LiveUpdate():
                return self._of_update(agent, stream, packet.data)
            case SubmitUnit() | SubmitMetadata() | ReturnUnit():
                return None
            case _:
                assert_never(packet)

    def _of_update(self, agent: AgentState | OnboardingState, stream: str, body: msgspec.Raw) -> Command | None:
        update_id = _update_id(body)
        if update_id is None:
            return None
        payload = self._sealed(body, agent)
        is_agent = isinstance(agent, AgentState)

        def decide(state: DecisionState) -> list[NewEvent]:
            if state.has_update(stream, update_id):
                return []
            receiver = state.agents[stream] if is_agent else state.onboardings[stream]
            received = AgentUpdateReceived if is_agent else OnboardingUpdateReceived
            return [NewEvent(stream, received(number=receiver.received + 1, update_id=update_id, update=payload.ref))]

        return _command(decide, payload)

    def _sealed(self, body: msgspec.Raw, agent: AgentState | OnboardingState) -> Payload:
        return seal(bytes(body), self._ids.salt(), agent.worker)


def _body_of(packet: OutboxPackets) -> msgspec.Raw:
    """Return the part of a packet that the page wrote."""
    match packet:
        case SubmitUnit():
            return packet.data.final_data
        case SubmitOnboarding():
            return packet.data.onboarding_data
        case SubmitMetadata() | LiveUpdate():
            return packet.data
        case ReturnUnit():
            return _NOTHING
        case _:
            assert_never(packet)


def _command(decide: Callable[[DecisionState], list[NewEvent]], *payloads: Payload) -> Command:
    return Command("", "", decide, payloads=payloads)


def _update_id(update: msgspec.Raw) -> str | None:
    """Return the id that a page gave to an update; empty if it gave none, None if the update is not an object."""
    try:
        update_id = msgspec.json.decode(update, type=_Identified).update_id
    except UNREADABLE:
        return None
    return update_id if isinstance(update_id, str) else ""
