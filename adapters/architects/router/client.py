"""Sends the operator's HTTP requests to a router, wherever it runs."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import httpx
import msgspec
import trio

from ....core.errors import ProtocolError, UploadGoneError
from ...private_files import create_private

#: Longest pause within an answer.
SILENCE_SECONDS = 30.0
#: Time that a router has to tell its figures.
COUNTERS_SECONDS = 5.0
#: Suffix of a file that is not whole yet.
PARTIAL_SUFFIX = ".partial"


class _Figures(msgspec.Struct):
    """The part of a router's figures that is about refusals."""

    refused_operators: int
    dropped: dict[str, int]


class RouterClient:
    """Requests to one router, with the run's secret where it is needed."""

    def __init__(self, url: str, secret: str, *, through_proxy: bool = False) -> None:
        """Keep address and secret; no request is sent yet.

        Args:
            url: the router's, without a slash at the end.
            secret: the run's.
            through_proxy: whether a proxy named in the environment is used.
        """
        self._url = url
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

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self._url,
            headers={"Authorization": f"Bearer {self._secret}"},
            timeout=SILENCE_SECONDS,
            trust_env=self._through_proxy,
        )


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
