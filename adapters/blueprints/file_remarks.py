"""Collects what a reader noticed in a data file but could cope with, for one report at the launch."""

from __future__ import annotations

from collections.abc import Iterator

#: Lines that a remark names; of more it gives the number.
NAMED_LINES = 5


class FileRemarks:
    """Remarks on one data file, in the order of their first occurrence.

    A reader that streams its rows can only say at the end how often something occurred, so remarks are counted here.
    """

    def __init__(self) -> None:
        self._lines: dict[str, list[int]] = {}
        self._counts: dict[str, int] = {}

    def add(self, remark: str, line: int | None = None) -> None:
        """Add a remark, or count it once more.

        Args:
            remark: a sentence without a full stop; the same one each time that it applies.
            line: the line of the file it applies to; None: the file as a whole.
        """
        lines = self._lines.setdefault(remark, [])
        self._counts[remark] = self._counts.get(remark, 0) + 1
        if line is not None and len(lines) < NAMED_LINES:
            lines.append(line)

    def sentences(self) -> Iterator[str]:
        """Yield each remark once, with the lines it applies to."""
        for remark, lines in self._lines.items():
            if not lines:
                yield remark
                continue
            count = self._counts[remark]
            places = ", ".join(map(str, lines)) + (" ..." if count > len(lines) else "")
            yield f"{remark} ({count} {'line' if count == 1 else 'lines'}: {places})"
