"""Sends the page of a run to routers on other machines, and releases them when the run is over."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import trio

from ....core.errors import LaunchError, ProtocolError
from ....core.operations.logger_core import get_logger
from ...channels.dial import ConnectionFailedError
from .client import RouterClient

#: Bytes that are hashed before other tasks get their turn.
HASHED_BYTES = 2**20

logger = get_logger(__name__)


class SentPage:
    """The files of a page, as they are when this is loaded."""

    def __init__(self, run: str, files: dict[str, Path], hashes: dict[str, str]) -> None:
        """Keep the files.

        Args:
            run: names the run to the routers.
            files: by their path in the page.
            hashes: the SHA-256 of each.
        """
        self._run = run
        self._files = files
        self._hashes = hashes

    @classmethod
    async def load(cls, run: str, folder: Path) -> SentPage:
        """Return the page in a folder.

        Raises:
            OSError: a file cannot be read.
        """
        files = _files_in(folder)
        return cls(run, files, {name: await _digest_of(path) for name, path in files.items()})

    async def send(self, client: RouterClient) -> None:
        """Let a router belong to the run, and send it the files that it does not have.

        Raises:
            ConnectionFailedError: it does not answer, or does not keep the files.
            ProtocolError: it refuses, for instance because it belongs to another run.
        """
        missing = await client.claim(self._run, self._hashes)
        if not missing:
            return
        by_digest = {digest: self._files[name] for name, digest in self._hashes.items()}
        logger.info("sending the page to a router", url=client.url, files=len(missing))
        for digest in missing:
            await client.put_page_file(digest, by_digest[digest])
        if await client.claim(self._run, self._hashes):
            raise ConnectionFailedError(f"the router at {client.url} does not keep the files of the page")


async def release_all(clients: Iterable[RouterClient], run: str) -> None:
    """Let routers belong to no run.

    Raises:
        LaunchError: one of them could not be released.
    """
    problems = []
    for client in clients:
        try:
            await client.release_run(run)
        except (ConnectionFailedError, ProtocolError) as error:
            problems.append(str(error))
    if problems:
        raise LaunchError(
            "shutdown",
            f"{'; '.join(problems)}. Release it later with `mephisto-es resources release`, or start the router with"
            " an empty data folder",
        )


def _files_in(folder: Path) -> dict[str, Path]:
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}


async def _digest_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as content:
        while piece := content.read(HASHED_BYTES):
            digest.update(piece)
            await trio.lowlevel.checkpoint()
    return digest.hexdigest()
