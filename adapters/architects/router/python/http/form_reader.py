"""Parses a multipart form as it arrives, piece by piece, without touching a file."""

import re

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from ..errors import RefusalError

#: Number of fields and files that a form may have.
MAX_PARTS = 1000


class FormPart:
    """A field or a file of a form."""

    def __init__(self) -> None:
        self.headers: dict[bytes, bytes] = {}
        self.field = ""
        #: The name that the file had on the worker's computer, without its folder.
        self.original_name = ""
        self.mimetype = ""
        self.is_file = False
        self.is_complete = False
        #: Bytes that have arrived: of a field all, of a file those that nobody has taken yet.
        self.data = bytearray()

    def begin(self) -> None:
        """Interpret the headers, which are complete now."""
        _, options = parse_options_header(self.headers.get(b"content-disposition"))
        if b"name" not in options:
            raise RefusalError(400, "The form has a part without a name.")
        self.field = options[b"name"].decode("utf-8", "replace")
        self.is_file = b"filename" in options
        self.original_name = re.split(r"[\\/]", options.get(b"filename", b"").decode("utf-8", "replace"))[-1]
        self.mimetype = self.headers.get(b"content-type", b"application/octet-stream").decode("latin-1")


class FormReader:
    """Turns the bytes of a form into its parts.

    Args:
        content_type: the request's Content-Type, which names the boundary.
        max_field_bytes: size of all fields that are no files together.

    Raises:
        RefusalError: from each method, if the form is malformed or too large.
    """

    def __init__(self, content_type: str, max_field_bytes: int) -> None:
        self.parts: list[FormPart] = []
        #: Bytes of files that have arrived and that nobody has taken yet; whoever takes them resets it.
        self.untaken_bytes = 0
        self._max_field_bytes = max_field_bytes
        self._field_bytes = 0
        self._header = b""
        self._is_whole = False
        _, options = parse_options_header(content_type)
        if not options.get(b"boundary"):
            raise RefusalError(400, "The form's Content-Type names no boundary.")
        try:
            self._parser = MultipartParser(
                options[b"boundary"],
                {
                    "on_part_begin": self._on_part_begin,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:
            raise RefusalError(400, "The form's boundary is too long.") from error

    @property
    def held_bytes(self) -> int:
        """Size of what is in memory: fields, headers, and bytes of files that nobody has taken yet."""
        return self._field_bytes + self.untaken_bytes

    def feed(self, data: bytes) -> None:
        """Parse the next bytes."""
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise RefusalError(400, "The form is malformed.") from error

    def finish(self) -> None:
        """Check that the form is complete: there are no more bytes."""
        if not self._is_whole:
            raise RefusalError(400, "The form ends too early.")

    def text(self, field: str) -> bytes | None:
        """Return the content of a field that has arrived, in UTF-8, or None if there is no such field."""
        for part in reversed(self.parts):
            if part.field == field and part.is_complete and not part.is_file:
                return bytes(part.data)
        return None

    def _on_part_begin(self) -> None:
        if len(self.parts) == MAX_PARTS:
            raise RefusalError(413, f"The form has too many parts: it may have {MAX_PARTS}.")
        self.parts.append(FormPart())

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        headers = self.parts[-1].headers
        name = self._header.lower()
        headers[name] = headers.get(name, b"") + data[start:end]
        self._count_field(end - start)

    def _on_header_end(self) -> None:
        self._header = b""

    def _on_headers_finished(self) -> None:
        self.parts[-1].begin()

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        part = self.parts[-1]
        part.data += data[start:end]
        if part.is_file:
            self.untaken_bytes += end - start
            return
        self._count_field(end - start)

    def _on_part_end(self) -> None:
        self.parts[-1].is_complete = True

    def _count_field(self, size: int) -> None:
        self._field_bytes += size
        if self._field_bytes > self._max_field_bytes:
            raise RefusalError(413, "The form's fields are too large.")

    def _on_end(self) -> None:
        self._is_whole = True
