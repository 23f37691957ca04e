"""The packets between router and operator, sans IO: text to typed packets and back.

What a worker's page sends is opaque here (`msgspec.Raw`): it is kept as the bytes it came as.
"""

from __future__ import annotations

import msgspec

from .errors import ProtocolError
from .opaque_json import check_grammar, check_values
from .packet_data import (
    AgentsData,
    AliveData,
    PagesData,
    PausingData,
    ProviderData,
    RequestWorkerPageData,
    SubmitAppealData,
    UploadedFile,
    WebhookKey,
    WorkerPageDetailsData,
    WorkerProgress,
)

#: The name by which operator and router call each other.
SYSTEM = "mephisto"
#: Levels of nesting that reading must have to spare: who reads later stands deeper in the stack.
SPARE_LEVELS = 200


class Packet(msgspec.Struct, frozen=True, kw_only=True, tag_field="packet_type", gc=False):
    """Base of all packets. Times are seconds since the epoch."""

    subject_id: str | None = None
    client_timestamp: float | None = None
    router_incoming_timestamp: float | None = None
    router_outgoing_timestamp: float | None = None
    server_timestamp: float | None = None


class OutboxPacket(Packet, frozen=True, kw_only=True):
    """A packet that the router keeps until it is acknowledged."""

    #: Place in the router's outbox.
    seq: int


class RouterStateData(msgspec.Struct, frozen=True):
    """State of a router's outbox."""

    #: Names this outbox; another one counts from the start.
    incarnation: str
    next_seq: int
    first_unacked: int | None = None
    #: Whether it takes nothing more from workers, and all it has taken has been sent: the answer to `drain`.
    closed: bool = False


class RouterState(Packet, frozen=True, kw_only=True, tag="router_state"):
    """The router has taken us for its operator, or it takes nothing more from workers."""

    data: RouterStateData


class RegisterAgentData(msgspec.Struct, frozen=True):
    """A page's request for an agent. What the provider's page says is checked by `provider_data_of`."""

    request_id: str
    provider_data: msgspec.Raw


class RegisterAgent(Packet, frozen=True, kw_only=True, tag="register_agent"):
    """A page asks for an agent."""

    data: RegisterAgentData


class RequestWorkerPage(Packet, frozen=True, kw_only=True, tag="request_worker_page"):
    """A worker opened their own page."""

    data: RequestWorkerPageData


class SubmitOnboardingData(msgspec.Struct, frozen=True):
    """An onboarding that was handed in."""

    request_id: str
    onboarding_data: msgspec.Raw = msgspec.Raw(b"{}")


class SubmitOnboardingPacket(OutboxPacket, frozen=True, kw_only=True, tag="submit_onboarding"):
    """A worker handed in the onboarding."""

    data: SubmitOnboardingData


class SubmitUnitData(msgspec.Struct, frozen=True):
    """Work that was handed in."""

    final_data: msgspec.Raw = msgspec.Raw(b"null")
    #: None: the page sent JSON; a form sends a list, which may be empty.
    files: list[UploadedFile] | None = None


class SubmitUnitPacket(OutboxPacket, frozen=True, kw_only=True, tag="submit_unit"):
    """A worker handed in its work."""

    data: SubmitUnitData


class SubmitMetadataData(msgspec.Struct, frozen=True):
    """Tips, feedback or an opinion that a worker left."""

    metadata: msgspec.Raw = msgspec.Raw(b"null")
    #: None: the page sent JSON; a form sends a list, which may be empty.
    files: list[UploadedFile] | None = None


class SubmitMetadataPacket(OutboxPacket, frozen=True, kw_only=True, tag="submit_metadata"):
    """A worker left tips or feedback."""

    data: SubmitMetadataData


class SubmitAppealPacket(OutboxPacket, frozen=True, kw_only=True, tag="submit_appeal"):
    """A worker objected to the rejection of their work."""

    data: SubmitAppealData


class ReturnUnitPacket(OutboxPacket, frozen=True, kw_only=True, tag="return_unit"):
    """A worker gave the unit back undone."""

    data: dict[str, str] = {}


class LiveUpdatePacket(OutboxPacket, frozen=True, kw_only=True, tag="mephisto_bound_live_update"):
    """A worker's page said something to the task's code."""

    data: msgspec.Raw


class ProviderEventPacket(OutboxPacket, frozen=True, kw_only=True, tag="provider_event"):
    """The provider's site has reported that something happened there."""

    data: dict[str, str] = {}


class LogErrorPacket(Packet, frozen=True, kw_only=True, tag="log_error"):
    """A page broke."""

    data: msgspec.Raw = msgspec.Raw(b"null")


class ReturnStatuses(Packet, frozen=True, kw_only=True, tag="return_statuses"):
    """Statuses of agents as the router sees them: the one it was told, or `disconnect`."""

    data: dict[str, str]


class PagesConfirmed(Packet, frozen=True, kw_only=True, tag="pages_confirmed"):
    """Pages that have just shown that they are open: an answer to `confirm_pages`; there may be several."""

    data: PagesData


class WatchedPages(Packet, frozen=True, kw_only=True, tag="watched_pages"):
    """The pages that the router reports as gone unless it hears from them: its answer to `agents`."""

    data: PagesData


class RouterReport(Packet, frozen=True, kw_only=True, tag="router_report"):
    """Something for the operator's log."""

    data: dict[str, str | int | float | bool | None]


Inbound = (
    RouterState
    | RegisterAgent
    | RequestWorkerPage
    | SubmitOnboardingPacket
    | SubmitUnitPacket
    | SubmitMetadataPacket
    | SubmitAppealPacket
    | ReturnUnitPacket
    | LiveUpdatePacket
    | ProviderEventPacket
    | LogErrorPacket
    | ReturnStatuses
    | PagesConfirmed
    | WatchedPages
    | RouterReport
)


class Alive(Packet, frozen=True, kw_only=True, tag="alive"):
    """The first packet on an operator's socket."""

    data: AliveData


class Agents(Packet, frozen=True, kw_only=True, tag="agents"):
    """Replaces what the router knows of agents."""

    data: AgentsData


class AgentDetailsData(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a page that asked for an agent."""

    request_id: str
    worker_id: str | None = None
    agent_id: str | None = None
    init_task_data: msgspec.Raw = msgspec.Raw(b"null")
    failure_reason: str | None = None
    #: True if the page has to ask its worker for consent, and then to request an agent again.
    needs_consent: bool = False
    #: The agent's status at once.
    status: str | None = None
    #: For pages that tell their worker; None if the provider gives out each unit by itself.
    progress: WorkerProgress | None = None
    #: Whole seconds until the agent's time is up; None: its work has ended.
    seconds_left: int | None = None
    #: True if the work was submitted after it had ended, and nobody has accepted it.
    is_late: bool = False
    #: The token in the address of the worker's own page.
    worker_page: str | None = None
    #: The code that proves to the provider that the worker is done, once the work is submitted.
    completion_code: str | None = None
    #: True if the page can ask for a receipt of submitted work.
    offers_receipts: bool = False


class AgentDetails(Packet, frozen=True, kw_only=True, tag="agent_details"):
    """The answer to a page that asked for an agent."""

    data: AgentDetailsData


class WorkerPageDetails(Packet, frozen=True, kw_only=True, tag="worker_page"):
    """The answer to a worker who opened their own page."""

    data: WorkerPageDetailsData


class UpdateStatusData(msgspec.Struct, frozen=True):
    """A status."""

    status: str


class UpdateStatus(Packet, frozen=True, kw_only=True, tag="update_status"):
    """An agent's status changed."""

    data: UpdateStatusData


class ClientBoundLiveUpdate(Packet, frozen=True, kw_only=True, tag="client_bound_live_update"):
    """The task's code says something to a page. The data is an object with an `update_id` of its own."""

    data: msgspec.Raw


class AckData(msgspec.Struct, frozen=True):
    """Position up to which the outbox is durable here."""

    incarnation: str
    seq: int


class Ack(Packet, frozen=True, kw_only=True, tag="ack"):
    """Everything up to a place in the outbox is durable here."""

    data: AckData


class RequestStatuses(Packet, frozen=True, kw_only=True, tag="request_statuses"):
    """Asks what the router sees of agents."""

    data: dict[str, str] = {}


class ConfirmPages(Packet, frozen=True, kw_only=True, tag="confirm_pages"):
    """Asks the router to report each of some pages as soon as it shows that it is open."""

    data: PagesData


class Pausing(Packet, frozen=True, kw_only=True, tag="pausing"):
    """Announces that the operator leaves in order: the router keeps the pages until an operator comes back."""

    data: PausingData


class ExpectWebhooks(Packet, frozen=True, kw_only=True, tag="webhooks"):
    """Tells the router how it recognizes requests of the provider's site."""

    data: WebhookKey


class Drain(Packet, frozen=True, kw_only=True, tag="drain"):
    """Asks the router to take nothing more from workers, and to say so once all it has taken is durable.

    It is sent again once all of that is acknowledged, so that the router says that its outbox is empty.
    """

    data: dict[str, str] = {}


#: Answers to what a page asked for.
PageAnswer = AgentDetails | WorkerPageDetails
Outbound = (
    Alive
    | Agents
    | PageAnswer
    | UpdateStatus
    | ClientBoundLiveUpdate
    | Ack
    | RequestStatuses
    | ConfirmPages
    | Pausing
    | ExpectWebhooks
    | Drain
)

#: How reading fails; a text that is nested beyond reason exhausts the stack.
UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)

_inbound: msgspec.json.Decoder[Inbound] = msgspec.json.Decoder(Inbound)
_frames = msgspec.json.Decoder(list[msgspec.Raw])
_provider_data = msgspec.json.Decoder(ProviderData)
_encoder = msgspec.json.Encoder()


def decode_packet(text: str | bytes | msgspec.Raw) -> Inbound:
    """One packet of a router.

    Raises:
        ProtocolError: it is not one; the sentence says where it is wrong.
    """
    try:
        return _inbound.decode(text)
    except UNREADABLE as error:
        raise ProtocolError(f"not a packet of a router: {error}") from error


def split_frame(text: str | bytes) -> list[msgspec.Raw]:
    """The packets of one frame, undecoded, so that a bad one does not take the others with it.

    Raises:
        ProtocolError: the frame is neither an object nor an array of them.
    """
    raw = text.encode() if isinstance(text, str) else text
    if not raw.lstrip().startswith(b"["):
        return [msgspec.Raw(raw)]
    try:
        return _frames.decode(raw)
    except UNREADABLE as error:
        raise ProtocolError(f"not a frame of packets: {error}") from error


def provider_data_of(packet: RegisterAgent) -> ProviderData:
    """Return the facts about the worker that asks for an agent, from the provider's page.

    Raises:
        ProtocolError: names or types are wrong.
    """
    try:
        return _provider_data.decode(packet.data.provider_data)
    except UNREADABLE as error:
        raise ProtocolError(f"not the data of a provider's page: {error}") from error


def is_readable(body: msgspec.Raw) -> bool:
    """Return True if bytes from a page can be read, here and by every later reader.

    What is passed on unread may hold numbers that are out of range, or be nested more deeply than a stack allows.
    """
    text = bytes(body)
    try:
        check_grammar(b"[" * SPARE_LEVELS + text + b"]" * SPARE_LEVELS)
        check_values(text)
    except UNREADABLE:
        return False
    return True


def encode_frame(packets: list[Outbound]) -> str:
    """Packets as one frame of the operator's link: one alone, several as an array."""
    return _encoder.encode(packets[0] if len(packets) == 1 else packets).decode()
