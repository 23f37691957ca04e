"""Translates outbox packets, in which routers keep what workers did, into commands, and keeps their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, assert_never

import msgspec
import trio

from ...events.base import FileRef
from ...events.ids import TaskRunId, WorkerId
from ..abstractions.work_data import FileDetails
from ..commands.agent import (
    RecordLiveUpdate,
    RecordOnboardingUpdate,
    ReturnUnit,
    SubmitMetadata,
    SubmitOnboarding,
    SubmitUnit,
    UpdateLimits,
)
from ..commands.base import Command
from ..commands.review import SubmitAppeal
from ..lifecycles.agent import AgentRecord
from ..lifecycles.onboarding import OnboardingRecord
from ..opaque_json import LARGE_BODY_BYTES
from ..packet_data import UploadedFile
from ..packets import (
    UNREADABLE,
    LiveUpdatePacket,
    ProviderEventPacket,
    ReturnUnitPacket,
    SubmitAppealPacket,
    SubmitMetadataPacket,
    SubmitOnboardingPacket,
    SubmitUnitPacket,
    is_readable,
)
from ..payloads import seal
from ..ports import Ids, Payload
from ..signal import Signal

OutboxPackets = (
    SubmitUnitPacket
    | SubmitOnboardingPacket
    | SubmitMetadataPacket
    | SubmitAppealPacket
    | LiveUpdatePacket
    | ReturnUnitPacket
)

#: Finds what is wrong with the work that an agent submitted; see `Blueprint.check_submission`.
CheckSubmission = Callable[[AgentRecord, object], tuple[str, ...]]
#: The problem of a submission that is too large to be decoded while others wait.
TOO_LARGE_TO_CHECK = f"larger than {LARGE_BODY_BYTES // 2**10} KiB, and therefore not checked"
#: Problems of one submission that are recorded, and characters of each.
MAX_PROBLEMS = 20
MAX_PROBLEM_LENGTH = 200
#: Characters of an objection.
MAX_APPEAL_LENGTH = 4000
#: Packets of a channel that may wait for one that takes long; beyond that the channel is not read.
WAITING_LIMIT = 64

#: Name under which pages show what the server itself has to say.
NOTICE_SPEAKER = "Task server"
#: Longest id of a call that is answered with a notice.
MAX_REQUEST_ID_LENGTH = 100

_NOTHING = msgspec.Raw(b"null")


class _Identified(msgspec.Struct):
    #: A string, if the page follows the protocol.
    update_id: object = None


class _Asked(msgspec.Struct):
    #: Id of a call of a procedure, if the update is one.
    request_id: object = None


class PacketCommand(NamedTuple):
    """A packet's command, with the payloads that it refers to."""

    command: Command
    payloads: tuple[Payload, ...] = ()


class _Files(NamedTuple):
    """The files of one submission."""

    refs: tuple[FileRef, ...]
    details: Payload | None

    def with_details(self, payload: Payload) -> tuple[Payload, ...]:
        """Return the payloads of a submission with these files."""
        return (payload,) if self.details is None else (payload, self.details)


class PacketCommands:
    """Translates the packets of one run."""

    def __init__(
        self, run: TaskRunId, ids: Ids, check: CheckSubmission | None, limits: UpdateLimits, *, concurrent: bool
    ) -> None:
        """Initialize.

        Args:
            run: the run.
            ids: source of salts.
            check: finds what is wrong with submitted work; None if nothing is looked for.
            limits: of live updates from pages.
            concurrent: True if the units of an assignment are worked on together.
        """
        self._run = run
        self._ids = ids
        self._check = check
        self._limits = limits
        self._concurrent = concurrent

    def command_of(self, agent: AgentRecord | OnboardingRecord, packet: OutboxPackets) -> PacketCommand | None:
        """Return the command of a packet; None if it is malformed, or does not fit such an agent."""
        if not is_readable(_body_of(packet)):
            return None
        if isinstance(agent, AgentRecord):
            return self._of_agent(agent, packet)
        return self._of_onboarding(agent, packet)

    def _of_agent(self, agent: AgentRecord, packet: OutboxPackets) -> PacketCommand | None:
        run, agent_id = self._run, agent.agent
        match packet:
            case SubmitUnitPacket():
                payload = self._sealed(packet.data.final_data, agent)
                files = self._files(packet.data.files, agent)
                submission = SubmitUnit(
                    task_run=run,
                    agent=agent_id,
                    submission=payload.ref,
                    files=files.refs,
                    file_details=files.details and files.details.ref,
                    problems=self._problems_of(agent, packet.data.final_data),
                )
                return PacketCommand(submission, files.with_details(payload))
            case LiveUpdatePacket():
                update_id = _update_id(packet.data)
                if update_id is None:
                    return None
                payload = self._sealed(packet.data, agent)
                update = RecordLiveUpdate(
                    task_run=run, agent=agent_id, update_id=update_id, update=payload.ref, limits=self._limits
                )
                return PacketCommand(update, (payload,))
            case SubmitMetadataPacket():
                payload = self._sealed(_metadata_body(packet.data.metadata), agent)
                files = self._files(packet.data.files, agent)
                metadata = SubmitMetadata(
                    task_run=run,
                    agent=agent_id,
                    metadata=payload.ref,
                    files=files.refs,
                    file_details=files.details and files.details.ref,
                )
                return PacketCommand(metadata, files.with_details(payload))
            case SubmitAppealPacket():
                if not packet.data.text.strip() or len(packet.data.text) > MAX_APPEAL_LENGTH:
                    return None
                payload = seal(packet.data.text.encode(errors="replace"), self._ids.salt(), agent.worker)
                return PacketCommand(SubmitAppeal(task_run=run, agent=agent_id, objection=payload.ref), (payload,))
            case ReturnUnitPacket():
                return PacketCommand(ReturnUnit(task_run=run, agent=agent_id, concurrent=self._concurrent))
            case SubmitOnboardingPacket():
                return None
            case _:
                assert_never(packet)

    def _of_onboarding(self, agent: OnboardingRecord, packet: OutboxPackets) -> PacketCommand | None:
        run, agent_id = self._run, agent.agent
        match packet:
            case SubmitOnboardingPacket():
                payload = self._sealed(packet.data.onboarding_data, agent)
                submission = SubmitOnboarding(
                    task_run=run, agent=agent_id, submission=payload.ref, request=packet.data.request_id
                )
                return PacketCommand(submission, (payload,))
            case LiveUpdatePacket():
                update_id = _update_id(packet.data)
                if update_id is None:
                    return None
                payload = self._sealed(packet.data, agent)
                update = RecordOnboardingUpdate(
                    task_run=run, agent=agent_id, update_id=update_id, update=payload.ref, limits=self._limits
                )
                return PacketCommand(update, (payload,))
            case SubmitUnitPacket() | SubmitMetadataPacket() | SubmitAppealPacket() | ReturnUnitPacket():
                return None
            case _:
                assert_never(packet)

    def _files(self, uploaded: Sequence[UploadedFile] | None, agent: AgentRecord) -> _Files:
        """Return what the log holds of uploaded files: references, and what the worker called them as a payload."""
        if not uploaded:
            return _Files((), None)
        refs = tuple(FileRef(filename=file.filename, size=file.size, sha256=file.sha256) for file in uploaded)
        details = [
            FileDetails(
                filename=file.filename,
                fieldname=file.fieldname,
                originalname=file.originalname,
                mimetype=file.mimetype,
                size=file.size,
            )
            for file in uploaded
        ]
        return _Files(refs, self._sealed(msgspec.Raw(msgspec.json.encode(details)), agent))

    def _problems_of(self, agent: AgentRecord, answers: msgspec.Raw) -> tuple[str, ...]:
        if self._check is None:
            return ()
        if len(memoryview(answers)) > LARGE_BODY_BYTES:
            return (TOO_LARGE_TO_CHECK,)
        found = self._check(agent, msgspec.json.decode(answers))
        return tuple(problem[:MAX_PROBLEM_LENGTH] for problem in found[:MAX_PROBLEMS])

    def _sealed(self, body: msgspec.Raw, agent: AgentRecord | OnboardingRecord) -> Payload:
        return seal(bytes(body), self._ids.salt(), agent.worker)


class _WaitingPacket(NamedTuple):
    """A packet that is being handled, or that waits for those before it."""

    #: The worker who sent it; None if that is not known.
    worker: WorkerId | None
    handle: Callable[[], Awaitable[None]]
    handled: trio.Event


class PacketOrder:
    """The packets of one channel, which are handled one after the other.

    A submission of megabytes is checked and hashed beside the event loop. What follows it in the outbox of its router
    waits for that, but the channel is read meanwhile: other workers' requests for an agent pass it.
    """

    def __init__(self, nursery: trio.Nursery) -> None:
        """Start without packets.

        Args:
            nursery: runs the task that handles packets which had to wait.
        """
        self._nursery = nursery
        #: The first is being handled.
        self._waiting: deque[_WaitingPacket] = deque()
        self._room = Signal()

    @property
    def is_idle(self) -> bool:
        """True while no packet is being handled beside the channel, so that the next one need not wait."""
        return not self._waiting

    async def add(self, handle: Callable[[], Awaitable[None]], worker: WorkerId | None) -> None:
        """Handle a packet after those before it; return as soon as its place is settled.

        Args:
            handle: handles it.
            worker: the worker who sent it; None if that is not known.
        """
        while len(self._waiting) >= WAITING_LIMIT:
            await self._room.wait()
        self._waiting.append(_WaitingPacket(worker, handle, trio.Event()))
        if len(self._waiting) == 1:
            self._nursery.start_soon(self._handle_waiting)

    async def wait_handled(self, worker: WorkerId) -> None:
        """Wait until the packets of a worker that came before are handled."""
        for waiting in reversed(self._waiting):
            if waiting.worker == worker:
                await waiting.handled.wait()
                return

    async def wait_all_handled(self) -> None:
        """Wait until all packets that came before are handled."""
        if self._waiting:
            await self._waiting[-1].handled.wait()

    async def _handle_waiting(self) -> None:
        while self._waiting:
            first = self._waiting[0]
            await first.handle()
            self._waiting.popleft()
            first.handled.set()
            self._room.notify()


def has_large_body(packet: OutboxPackets | ProviderEventPacket) -> bool:
    """Return whether a page wrote so much that its packet is best translated beside the event loop."""
    return len(memoryview(_body_of(packet))) > LARGE_BODY_BYTES


def _body_of(packet: OutboxPackets | ProviderEventPacket) -> msgspec.Raw:
    """Return the part of a packet that the page wrote."""
    match packet:
        case SubmitUnitPacket():
            return packet.data.final_data
        case SubmitOnboardingPacket():
            return packet.data.onboarding_data
        case SubmitMetadataPacket():
            return packet.data.metadata
        case LiveUpdatePacket():
            return packet.data
        case ReturnUnitPacket() | SubmitAppealPacket() | ProviderEventPacket():
            return _NOTHING
        case _:
            assert_never(packet)


def notice_of_limit(packet: LiveUpdatePacket, sentence: str, number: int) -> bytes:
    """Return the live update that tells a page why its own was refused.

    Args:
        packet: the update; if it called a procedure, the notice is the answer.
        sentence: the reason.
        number: 1, 2, 3 ... among the notices to this page.
    """
    notice: dict[str, object] = {"update_id": f"limit-{number}", "id": NOTICE_SPEAKER, "text": sentence}
    request_id = msgspec.json.decode(packet.data, type=_Asked).request_id
    if isinstance(request_id, str) and len(request_id) <= MAX_REQUEST_ID_LENGTH:
        notice |= {"handles": request_id, "response": None, "error": sentence}
    return msgspec.json.encode(notice)


def _metadata_body(metadata: msgspec.Raw) -> msgspec.Raw:
    """Return the form in which metadata is kept: an object with the name `metadata`."""
    return msgspec.Raw(b'{"metadata":' + bytes(metadata) + b"}")


def _update_id(update: msgspec.Raw) -> str | None:
    """Return the id that a page gave to an update; empty if it gave none, None if the update is not an object."""
    try:
        update_id = msgspec.json.decode(update, type=_Identified).update_id
    except UNREADABLE:
        return None
    return update_id if isinstance(update_id, str) else ""
