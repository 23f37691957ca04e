"""Packets and request bodies as text, without any input or output.

Whatever a task put into a body or a packet is opaque to the router: it is checked to be strict
JSON and handed on as the text it was (`msgspec.Raw`).
"""

import re
from collections.abc import Callable
from typing import TypeGuard, TypeVar

import msgspec
from msgspec import UNSET, Raw, UnsetType

#: The subject of packets between router and operator that concern no agent.
MEPHISTO = "mephisto"

BUSY = "The task server is busy at the moment, please try again in a minute..."

NULL = Raw(b"null")
EMPTY = Raw(b"{}")

#: Levels of nesting that the router has to spare: the operator wraps what it is sent, and reads it with more on its
#: stack.
SPARE_LEVELS = 300

T = TypeVar("T")

#: Seconds since the epoch; null and absent are told apart.
Timestamp = float | UnsetType | None

# One escape of a JSON string: a pair of surrogates, half of a pair (captured), or any other.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


class MalformedJsonError(Exception):
    """The text is not JSON, or not JSON of the expected shape; the sentence says where."""


class Packet(msgspec.Struct, kw_only=True):
    """One packet in any direction; a field that was absent stays absent."""

    packet_type: str
    subject_id: str | UnsetType | None = UNSET
    data: Raw | UnsetType = UNSET
    client_timestamp: Timestamp = UNSET
    router_incoming_timestamp: Timestamp = UNSET
    router_outgoing_timestamp: Timestamp = UNSET
    server_timestamp: Timestamp = UNSET


class OperatorGreeting(msgspec.Struct):
    """Data of an operator's `alive`."""

    token: str = ""
    incarnation: str | None = None
    acked: int | None = None


class AgentStatuses(msgspec.Struct):
    """Data of `agents`: every agent there is, with its status."""

    agents: dict[str, str]


class AgentDetails(msgspec.Struct):
    """The part of `agent_details` that concerns the router."""

    request_id: str
    agent_id: str | None = None
    status: str | None = None


class StatusUpdate(msgspec.Struct):
    """Data of `update_status`."""

    status: str


class Acknowledgement(msgspec.Struct):
    """Data of `ack`: everything up to `seq` is committed."""

    incarnation: str
    seq: int


class Pulse(msgspec.Struct):
    """Data of a heartbeat's answer; the time is in milliseconds."""

    last_mephisto_ping: int
    status: str


class RequestAgentBody(msgspec.Struct):
    """POST /request_agent."""

    provider_data: dict[str, Raw]
    client_timestamp: Timestamp = UNSET


class OnboardingSubmission(msgspec.Struct):
    """The `provider_data` of POST /submit_onboarding."""

    agent: str = msgspec.field(name="USED_AGENT_ID")
    onboarding_data: Raw = EMPTY


class SubmitOnboardingBody(msgspec.Struct):
    """POST /submit_onboarding."""

    provider_data: OnboardingSubmission
    client_timestamp: Timestamp = UNSET


class SubmitTaskBody(msgspec.Struct):
    """POST /submit_task as JSON."""

    agent: str = msgspec.field(name="USED_AGENT_ID")
    final_data: Raw = NULL
    client_timestamp: Timestamp = UNSET


class SubmitMetadataBody(msgspec.Struct):
    """POST /submit_metadata."""

    agent: str = msgspec.field(name="USED_AGENT_ID")
    metadata: dict[str, Raw]
    client_timestamp: Timestamp = UNSET


class ReturnTaskBody(msgspec.Struct):
    """POST /return_task: an addition of ours, no page of Mephisto's sends it."""

    agent: str = msgspec.field(name="USED_AGENT_ID")
    client_timestamp: Timestamp = UNSET


class LogErrorBody(msgspec.Struct):
    """POST /log_error; the agent is null before the page knows its own."""

    agent: str | None = msgspec.field(name="USED_AGENT_ID", default=None)
    error_data: Raw = NULL
    client_timestamp: Timestamp = UNSET


class UploadedFile(msgspec.Struct):
    """One file of a form, as the operator is told about it."""

    fieldname: str
    originalname: str
    mimetype: str
    #: Our own random name, under which the file is downloaded.
    filename: str
    size: int
    sha256: str


_encoder = msgspec.json.Encoder()
encode: Callable[[object], bytes] = _encoder.encode


def raw(value: object) -> Raw:
    """Encode `value` for use as a packet's data."""
    return Raw(encode(value))


def strict_json(text: bytes) -> bytes:
    """Give `text` back as strict JSON on a single line.

    Half of a surrogate pair, which JavaScript writes for a string cut in the middle of a
    character, becomes U+FFFD: nothing behind the router could read it.

    Raises:
        MalformedJsonError: it is not JSON, not UTF-8, or nested too deeply for a later reader.
    """
    try:
        try:
            msgspec.json.decode(text)
        except msgspec.DecodeError:
            text = _ESCAPE.sub(lambda escape: rb"\ufffd" if escape[1] else escape[0], text)
            msgspec.json.decode(text)
        msgspec.json.decode(b"[" * SPARE_LEVELS + text + b"]" * SPARE_LEVELS)
        if b"\n" in text or b"\r" in text:
            text = msgspec.json.format(text, indent=-1)
    except UnicodeDecodeError as error:
        raise MalformedJsonError("the text is not UTF-8") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise MalformedJsonError(str(error)) from error
    return text


def is_object(data: Raw | UnsetType) -> TypeGuard[Raw]:
    """Tell whether a packet has data, and it is an object."""
    return isinstance(data, Raw) and bytes(memoryview(data)[:1]) == b"{"


def reader(shape: type[T]) -> Callable[[bytes], T]:
    """Make a function that reads strict JSON of one shape and raises `MalformedJsonError` otherwise."""
    decode = msgspec.json.Decoder(shape).decode

    def read(text: bytes) -> T:
        try:
            return decode(text)
        except UnicodeDecodeError as error:
            raise MalformedJsonError("the text is not UTF-8") from error
        except (msgspec.DecodeError, RecursionError) as error:
            raise MalformedJsonError(str(error)) from error

    return read


def numbered(packet: bytes, seq: int) -> bytes:
    """Put a sequence number into an encoded packet."""
    return b'{"seq":%d,%b' % (seq, packet[1:])
