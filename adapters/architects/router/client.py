"""Sends the operator's HTTP requests to a router, wherever it runs."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from urllib.parse import quote

import httpx
import msgspec
import trio

from ....core.errors import ProtocolError, UploadGoneError
from ...channels.dial import ConnectionFailedError
from ...private_files import create_private

#: Longest pause within an answer.
SILENCE_SECONDS = 30.0
#: Time that a router has to tell its figures.
COUNTERS_SECONDS = 5.0
#: Bytes of a file that are sent at once.
PIECE_BYTES = 2**18
#: An error quotes this much of a refusal.
QUOTE_LENGTH = 300
#: Statuses of a web server whose router is away, or of a router that cannot store anything at the moment.
_PASSING = {httpx.codes.BAD_GATEWAY, httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.GATEWAY_TIMEOUT}
#: Suffix of a file that is not whole yet.
PARTIAL_SUFFIX = ".partial"


class _Figures(msgspec.Struct):
    """The part of a router's figures that is about refusals."""

    refused_operators: int
    dropped: dict[str, int]


class _Missing(msgspec.Struct):
    missing: list[str]


class _Refusal(msgspec.Struct):
    error: str


class RouterClient:
    """Requests to one router, with the run's secret where it is needed."""

    def __init__(
        self, url: str, secret: str, *, through_proxy: bool = False, trusted: ssl.SSLContext | None = None
    ) -> None:
        """Keep address and secret; no request is sent yet.

        Args:
            url: the router's, without a slash at the end.
            secret: the run's.
            through_proxy: whether a proxy named in the environment is used.
            trusted: the trusted authorities; by default the usual ones.
        """
        self._trusted = trusted
        self.url = url
        self._secret = secret
        self._through_proxy = through_proxy

    async def is_alive(self) -> bool:
        """Wait until the router answers; return False if something else answers or the connection breaks."""
        async with self._client() as client:
            try:
                answer = await client.get("/is_alive", timeout=None)
            except httpx.TransportError:
                return False
        return answer.status_code == httpx.codes.OK and "Alive!" in answer.text

    async def accepts_secret(self) -> bool:
        """Return whether a router answers that was started with our secret."""
        async with self._client() as client:
            try:
                answer = await client.get("/counters")
            except httpx.TransportError:
                return False
        return answer.status_code == httpx.codes.OK

    async def refusals(self) -> dict[str, int]:
        """Return what the router has refused or discarded, by reason; nothing if it does not answer."""
        async with self._client() as client:
            try:
                answer = await client.get("/counters", timeout=COUNTERS_SECONDS)
                figures = msgspec.json.decode(answer.content, type=_Figures)
            except (httpx.HTTPError, msgspec.DecodeError):
                return {}
        counts = {"refused_operators": figures.refused_operators, **figures.dropped}
        return {reason: count for reason, count in counts.items() if count}

    async def download_file(self, filename: str, save_dir: Path) -> Path:
        """Download an uploaded file; it gets its name once it is whole and durable.

        Args:
            filename: the router's name for it.
            save_dir: an existing folder.

        Raises:
            UploadGoneError: the router does not have it.
            ProtocolError: the name is not that of an uploaded file, or the connection broke.
        """
        if Path(filename).name != filename or filename in {"", ".", ".."}:
            raise ProtocolError(f"{filename!r} is not the name of an uploaded file")
        target = save_dir / filename
        partial = save_dir / f"{filename}{PARTIAL_SUFFIX}"
        try:
            async with (
                self._client() as client,
                client.stream("GET", f"/download_file/{quote(filename, safe='')}") as answer,
            ):
                if answer.status_code == httpx.codes.NOT_FOUND:
                    raise UploadGoneError(f"the router does not have {filename!r}")
                if answer.status_code != httpx.codes.OK:
                    raise ProtocolError(f"the router does not serve {filename!r} (status {answer.status_code})")
                create_private(partial)
                with partial.open("wb") as file:
                    async for piece in answer.aiter_bytes():
                        file.write(piece)
            await trio.to_thread.run_sync(_put_in_place, partial, target)
        except httpx.HTTPError as error:
            raise ProtocolError(f"{filename!r} did not arrive from the router: {type(error).__name__}") from error
        finally:
            partial.unlink(missing_ok=True)
        return target

    async def delete_file(self, filename: str) -> None:
        """Let the router delete an uploaded file; a file that it does not have is no error.

        Raises:
            ProtocolError: the router does not answer, or could not delete it.
        """
        async with self._client() as client:
            try:
                answer = await client.delete(f"/download_file/{quote(filename, safe='')}")
            except httpx.HTTPError as error:
                raise ProtocolError(f"the router did not delete {filename!r}: {type(error).__name__}") from error
        if answer.status_code != httpx.codes.OK:
            raise ProtocolError(f"the router did not delete {filename!r} (status {answer.status_code})")

    async def claim(self, run: str, files: Mapping[str, str]) -> list[str]:
        """Let the router belong to a run, and serve its page as soon as it has all files.

        Args:
            run: names the run.
            files: the SHA-256 of each file, by its path in the page.

        Returns:
            The hashes of the files that it has yet to be sent.

        Raises:
            ConnectionFailedError: it does not answer.
            ProtocolError: it refuses, for instance because it belongs to another run.
        """
        answer = await self._demand("POST", "/run_page", json={"run": run, "files": dict(files)})
        try:
            return msgspec.json.decode(answer.content, type=_Missing).missing
        except msgspec.DecodeError as error:
            raise ProtocolError(f"the server at {self.url} is not a router of this version") from error

    async def put_page_file(self, digest: str, path: Path) -> None:
        """Send a file of the page.

        Args:
            digest: its SHA-256.
            path: where it is.

        Raises:
            ConnectionFailedError: the router does not answer.
            ProtocolError: it refuses the file.
        """
        await self._demand("PUT", f"/run_page/{digest}", content=_pieces(path))

    async def release_run(self, run: str) -> None:
        """Let the router belong to nobody; that it belongs to another run is no error.

        Raises:
            ConnectionFailedError: it does not answer.
            ProtocolError: it refuses, for instance because it still has packets for the operator.
        """
        await self._demand("POST", "/release_run", json={"run": run}, is_fine=httpx.codes.CONFLICT)

    async def _demand(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        content: AsyncIterator[bytes] | None = None,
        is_fine: int = httpx.codes.OK,
    ) -> httpx.Response:
        try:
            async with self._client() as client:
                answer = await client.request(method, path, json=json, content=content)
        except httpx.HTTPError as error:
            raise ConnectionFailedError(f"the router at {self.url} does not answer: {type(error).__name__}") from error
        if answer.status_code in (httpx.codes.OK, is_fine):
            return answer
        if answer.status_code in _PASSING:
            raise ConnectionFailedError(f"the router at {self.url} cannot be reached: status {answer.status_code}")
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise ProtocolError(f"the router at {self.url} was started with another secret")
        raise ProtocolError(f"the router at {self.url} refuses: {_sentence(answer)}")

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self._secret}"},
            timeout=SILENCE_SECONDS,
            trust_env=self._through_proxy,
            # The usual authorities are read only where they are needed: that takes a while.
            verify=self.url.startswith("https:") if self._trusted is None else self._trusted,
        )


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece
            await trio.lowlevel.checkpoint()


def _sentence(answer: httpx.Response) -> str:
    """Return what an answer says is wrong."""
    try:
        return msgspec.json.decode(answer.content, type=_Refusal).error[:QUOTE_LENGTH].rstrip(".")
    except msgspec.DecodeError:
        return f"status {answer.status_code}"


def _put_in_place(partial: Path, target: Path) -> None:
    """Make a file durable and give it its name; blocks."""
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(partial, target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
