"""Positions without gaps, the chain over the rows, and the anchors beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...core.chain import GENESIS, ChainPage, ChainRow, link
from ...core.errors import UnusableLogError
from ...core.ports import Head
from .report import FindingKind, Findings


class ChainCheck:
    """Follows the chain from row to row.

    Attributes:
        seq: the last position read.
        chain: the chain there, as stored.
        anchored_seq: the last position that an anchor names.
        agreed_seq: the last position at which the log is what an anchor says.
    """

    def __init__(self, anchors: Iterable[Head], findings: Findings) -> None:
        self.seq = 0
        self.chain = GENESIS
        self.anchored_seq: int | None = None
        self.agreed_seq = 0
        self._findings = findings
        #: After a broken link: its position, and what the chain should have been there.
        self._doubt = (0, GENESIS)
        self._anchors = self._readable(anchors)
        self._anchor = next(self._anchors, None)

    def check(self, page: ChainPage) -> None:
        """Follow the chain over the next rows."""
        previous = self.chain
        # Nothing is known of the link over a gap, so it is not judged.
        judged = page.seq == self.seq + 1
        if not judged:
            self._gap(self.seq + 1, page.seq - 1)
        for seq, row in enumerate(page.rows, page.seq):
            chain = row[1]
            if link(previous, seq, row[0]) != chain and judged:
                self._broken(page.row(seq), previous)
            previous, judged = chain, True
        self.seq, self.chain = page.last, previous
        while self._anchor is not None and self._anchor.seq <= self.seq:
            self._compare(self._anchor, page)
            self._anchor = next(self._anchors, None)

    def finish(self) -> None:
        """After the last row: is the log as long as it ever was?"""
        longest = self._anchor
        for anchor in self._anchors:
            longest = anchor
        if longest is None:
            if self.anchored_seq is None:
                self._findings.notes.append("there is no anchor file: if events at the end were lost, nothing shows it")
            return
        self._findings.add(
            FindingKind.LOST_TAIL,
            f"the log ends here, and had {longest.seq} events once: its end was lost",
            seq=self.seq,
            expected=str(longest.seq),
            found=str(self.seq),
        )

    def _gap(self, first: int, last: int) -> None:
        what = "the event is missing" if first == last else f"the events up to seq {last} are missing"
        self._findings.add(
            FindingKind.MISSING_EVENT,
            f"{what}, seq {last + 1} comes next",
            seq=first,
            expected=str(first),
            found=str(last + 1),
        )

    def _broken(self, row: ChainRow, previous: bytes) -> None:
        """A link that does not follow, unless that is the fault of the row before, which was reported."""
        doubtful_seq, should_have_been = self._doubt
        if doubtful_seq == row.seq - 1 and link(should_have_been, row.seq, row.data) == row.chain:
            return
        expected = link(previous, row.seq, row.data)
        self._doubt = (row.seq, expected)
        self._findings.add(
            FindingKind.CHAIN,
            "the chain is broken: the event, or the chain beside it, is not what was written",
            seq=row.seq,
            stream=row.stream,
            expected=expected.hex(),
            found=row.chain.hex(),
        )

    def _compare(self, anchor: Head, page: ChainPage) -> None:
        """An anchor with the row that it is about, which is in this page or missing."""
        self.anchored_seq = anchor.seq
        if anchor.seq < page.seq:
            return
        row = page.row(anchor.seq)
        if row.chain == anchor.chain:
            self.agreed_seq = anchor.seq
        else:
            self._findings.add(
                FindingKind.ANCHOR,
                "the chain is not the one that was anchored: the log was rewritten up to here",
                seq=row.seq,
                expected=anchor.chain.hex(),
                found=row.chain.hex(),
            )

    def _readable(self, anchors: Iterable[Head]) -> Iterator[Head]:
        """The anchors in the order of their positions, as far as they can be read."""
        try:
            yield from anchors
        except UnusableLogError as error:
            self._findings.add(FindingKind.ANCHOR, str(error))
