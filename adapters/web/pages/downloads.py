"""Downloads a run's units as a file, as of any position."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import IO, BinaryIO, cast

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from ....projections.queries.unit_records import unit_records, unit_values
from ...exports.columns import UnitTable
from ...exports.formats import FORMATS, load_writer
from ...log.sqlite.as_of import LogAsOf
from ..site import Site, run_of, seq_of

#: Files up to this size are built in memory, larger ones in a temporary file.
IN_MEMORY_BYTES = 2**20
CHUNK_BYTES = 2**16


class Downloads:
    """Serves exports."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("/runs/{run:int}/export.{format}", self.export)]

    async def export(self, request: Request) -> Response:
        """Export a run in a format; with the workers' names at the provider only if requested."""
        run, seq, name = run_of(request), seq_of(request), request.path_params["format"]
        if name not in FORMATS:
            raise HTTPException(404, f"There is no export as {name!r}; choose one of {', '.join(FORMATS)}")
        write, names = load_writer(name), request.query_params.get("names") == "1"

        def answer(moment: LogAsOf) -> IO[bytes]:
            # Closed by the response.
            file = cast(IO[bytes], tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES))  # noqa: SIM115
            try:
                table = UnitTable(lambda: unit_records(moment, run, names=names), lambda: unit_values(moment, run))
                write(table, cast(BinaryIO, file))
            except BaseException:
                file.close()
                raise
            return file

        file = await self._site.log.query(answer, seq)
        at = "" if seq is None else f"-seq-{seq}"
        headers = {
            "content-disposition": f'attachment; filename="run-{run}{at}.{name}"',
            "content-length": str(file.tell()),
        }
        return StreamingResponse(_chunks(file), media_type=FORMATS[name].media_type, headers=headers)


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
