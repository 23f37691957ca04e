"""Every command, and its JSON."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ..errors import ProtocolError
from .admission import AnyAdmissionCommand
from .agent import AnyAgentCommand
from .base import Command, CommandRequest
from .directory import AnyDirectoryCommand
from .labels import AnyLabelCommand
from .review import AnyReviewCommand
from .task_run import AnyRunCommand

AnyCommand = (
    AnyDirectoryCommand | AnyRunCommand | AnyAdmissionCommand | AnyAgentCommand | AnyReviewCommand | AnyLabelCommand
)

#: Maximum length of what an error says about bytes that are no command.
MAX_REASON = 200

_encoder = msgspec.json.Encoder()
_command_decoder: msgspec.json.Decoder[AnyCommand] = msgspec.json.Decoder(AnyCommand)
_request_decoder = msgspec.json.Decoder(CommandRequest[AnyCommand])

#: Encode a command as JSON.
encode_command: Callable[[Command], bytes] = _encoder.encode
#: Encode a request as JSON; payloads are base64.
encode_request: Callable[[CommandRequest[Command]], bytes] = _encoder.encode


def decode_command(data: bytes) -> AnyCommand:
    """Decode a command.

    Raises:
        ProtocolError: the bytes are not JSON, or not a command that this version knows.
    """
    try:
        return _command_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"not a command: {str(error)[:MAX_REASON]}") from error


def decode_request(data: bytes) -> CommandRequest[AnyCommand]:
    """Decode a request with its command and payloads.

    Raises:
        ProtocolError: the bytes are not JSON, or not a request that this version knows.
    """
    try:
        return _request_decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProtocolError(f"not a request: {str(error)[:MAX_REASON]}") from error
