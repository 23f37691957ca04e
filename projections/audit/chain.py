"""Positions without gaps, the chain over the rows, and the anchors beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...core.chain import GENESIS, Columns, Row, link
from ...core.errors import UnusableLog
from ...core.ports import Head
from .report import FindingKind, Findings


class ChainCheck:
    """Follows the chain from row to row.

    Attributes:
        seq: the last position read.
        chain: the chain there, as stored.
        anchored_seq: the last position that an anchor names.
    """

    def __init__(self, anchors: Iterable[Head], findings: Findings) -> None:
        self.seq = 0
        self.chain = GENESIS
        self.anchored_seq: int | None = None
        self._findings = findings
        #: Whether the row before is missing, so that nothing is known of the link to it.
        self._after_gap = False
        #: After a broken link: its position, and what the chain should have been there.
        self._doubt = (0, GENESIS)
        self._anchors = self._readable(anchors)
        self._anchor = next(self._anchors, None)

    def check(self, rows: Iterable[Columns]) -> None:
        """Follow the chain over the next rows."""
        for row in rows:
            seq, data, chain, *_ = row
            if seq != self.seq + 1:
                self._gap(seq)
            if link(self.chain, seq, data) != chain and not self._after_gap:
                self._broken(Row._make(row))
            self.seq, self.chain, self._after_gap = seq, chain, False
            if self._anchor is not None and seq >= self._anchor.seq:
                self._compare_anchor(seq, chain)

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

    def _gap(self, seq: int) -> None:
        first, last = self.seq + 1, seq - 1
        what = "the event is missing" if first == last else f"the events up to seq {last} are missing"
        self._findings.add(
            FindingKind.MISSING_EVENT, f"{what}, seq {seq} comes next", seq=first, expected=str(first), found=str(seq)
        )
        self._after_gap = True

    def _broken(self, row: Row) -> None:
        """A link that does not follow, unless that is the fault of the row before, which was reported."""
        doubtful_seq, should_have_been = self._doubt
        if doubtful_seq == row.seq - 1 and link(should_have_been, row.seq, row.data) == row.chain:
            return
        expected = link(self.chain, row.seq, row.data)
        self._doubt = (row.seq, expected)
        self._findings.add(
            FindingKind.CHAIN,
            "the chain is broken: the event, or the chain beside it, is not what was written",
            seq=row.seq,
            stream=row.stream,
            expected=expected.hex(),
            found=row.chain.hex(),
        )

    def _compare_anchor(self, seq: int, chain: bytes) -> None:
        while self._anchor is not None and self._anchor.seq <= seq:
            if self._anchor.seq == seq and self._anchor.chain != chain:
                self._findings.add(
                    FindingKind.ANCHOR,
                    "the chain is not the one that was anchored: the log was rewritten up to here",
                    seq=seq,
                    expected=self._anchor.chain.hex(),
                    found=chain.hex(),
                )
            self.anchored_seq = self._anchor.seq
            self._anchor = next(self._anchors, None)

    def _readable(self, anchors: Iterable[Head]) -> Iterator[Head]:
        """The anchors in the order of their positions, as far as they can be read."""
        try:
            yield from anchors
        except UnusableLog as error:
            self._findings.add(FindingKind.ANCHOR, str(error))
