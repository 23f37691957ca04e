"""Runs a small reference witness: it cosigns seals of the logs it knows, and refuses forks and rollbacks.

https://c2sp.org/tlog-witness: `add-checkpoint`, and the last checkpoint of each log for monitors.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ...core.errors import ConfigError
from ...core.operations.logger_core import get_logger
from ...core.ports import WallClock
from ...projections.sealing.cosignatures import cosign
from ...projections.sealing.notes import VerifierKey
from ...projections.sealing.witnessing import (
    MAX_REQUEST_BYTES,
    SIZE_TYPE,
    WitnessRefusalError,
    WitnessStatus,
    check_extension,
    read_add_checkpoint,
    read_log_head,
)
from ..asgi_server import run_asgi
from .keys import SealKey, verify_signature
from .witness_store import WitnessStore

_ORIGIN_HASH = re.compile(r"[0-9a-f]{64}")
_MICROSECONDS = 1_000_000

logger = get_logger(__name__)


class WitnessedLogs(NamedTuple):
    """The logs that a witness knows, and the key with which it cosigns."""

    key: SealKey
    logs: tuple[VerifierKey, ...]

    def keys_of(self, origin: str) -> list[VerifierKey]:
        """Return the keys of a log; a log has the name of its keys."""
        return [key for key in self.logs if key.name == origin]


class ReferenceWitness:
    """Answers requests for cosignatures, one after the other.

    Args:
        known: the logs, and the key.
        store: what was cosigned.
        clock: the wall clock.
    """

    def __init__(self, known: WitnessedLogs, store: WitnessStore, clock: WallClock) -> None:
        self._known = known
        self._store = store
        self._clock = clock

    def app(self) -> Starlette:
        """Return the application."""
        return Starlette(
            routes=[
                Route("/add-checkpoint", self.add_checkpoint, methods=["POST"]),
                Route("/{origin_hash}/checkpoint", self.checkpoint, methods=["GET"]),
            ]
        )

    async def add_checkpoint(self, request: Request) -> Response:
        """POST /add-checkpoint: cosign a checkpoint that extends the last one of its log."""
        body = await request.body()
        try:
            return PlainTextResponse(self.cosign(body))
        except WitnessRefusalError as error:
            if error.status is WitnessStatus.OTHER_SIZE:
                return Response(f"{error.size}\n", error.status, media_type=SIZE_TYPE)
            return PlainTextResponse(f"{error.status.name.lower()}\n", error.status)
        except (ConfigError, OSError) as error:
            logger.error("nothing can be cosigned", error=str(error))
            return PlainTextResponse("the witness has a problem\n", 503)

    async def checkpoint(self, request: Request) -> Response:
        """GET /<origin hash>/checkpoint: return the last cosigned checkpoint of a log."""
        origin_hash = request.path_params["origin_hash"]
        note = self._store.note(origin_hash) if _ORIGIN_HASH.fullmatch(origin_hash) else None
        return PlainTextResponse("not found\n", 404) if note is None else PlainTextResponse(note)

    def cosign(self, body: bytes) -> str:
        """Return the cosignature that a request asks for, once it is on disk what was cosigned.

        It does not give way to another task, so that no request comes between the check and what is kept.

        Raises:
            WitnessRefusalError: the checkpoint is not cosigned.
            ConfigError: it cannot be read what was cosigned before.
            OSError: the checkpoint could not be kept.
        """
        if len(body) > MAX_REQUEST_BYTES:
            raise WitnessRefusalError(WitnessStatus.MALFORMED)
        asked = read_add_checkpoint(body)
        head = read_log_head(asked.note.body)
        keys = self._known.keys_of(head.origin)
        if not keys:
            raise WitnessRefusalError(WitnessStatus.UNKNOWN_LOG)
        try:
            check_extension(asked, self._store.last(head.origin), keys, verify_signature)
        except WitnessRefusalError as error:
            if error.status is WitnessStatus.INCONSISTENT:
                # The log has signed it, so this note and the one that is kept prove the fork.
                logger.error("a log has another version", log=head.origin, checkpoint=asked.note.body)
            raise
        verifier = self._known.key.verifier
        now_seconds = self._clock.now_us() // _MICROSECONDS
        line = cosign(head.body, verifier, self._known.key.sign, now_seconds).line
        ours = {(key.name, key.key_id) for key in keys}
        signed = "".join(one.line for one in asked.note.signatures if (one.name, one.key_id) in ours)
        self._store.keep(head.origin, f"{head.body}\n{signed}{line}")
        logger.info("cosigned", log=head.origin, events=head.tree.size)
        return line


async def run_witness(witness: ReferenceWitness, host: str, port: int, on_open: Callable[[str], None]) -> None:
    """Serve a witness until SIGINT or SIGTERM.

    Args:
        witness: the witness.
        host: the address to listen on.
        port: the port; 0: any free one.
        on_open: called with the address once it can be used.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    await run_asgi(witness.app(), host, port, on_open, max_body_bytes=MAX_REQUEST_BYTES)
