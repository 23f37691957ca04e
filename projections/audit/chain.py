"""Checks that positions have no gaps, that the chain over the rows holds, and that it agrees with the anchors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...core.chain import ChainPage, ChainRow, link
from ...core.errors import UnusableLogError
from ...core.ports import Head
from .report import FindingKind, Findings


class ChainCheck:
    """Verifies the chain row by row.

    Attributes:
        seq: the last position read.
        chain: the stored value of the chain there.
        epoch: the largest epoch of a writer so far.
        anchored_seq: the last position with an anchor.
        agreed_seq: the last position at which the log agrees with an anchor.
    """

    def __init__(self, genesis: bytes | None, anchors: Iterable[Head], findings: Findings) -> None:
        """Begin before the first event.

        Args:
            genesis: the value of the chain there. If it is not known, the first link is not judged.
            anchors: heads that were recorded outside the file, oldest first.
            findings: collects the faults.
        """
        self.seq = 0
        self.chain = genesis or b""
        self.epoch = 0
        self.anchored_seq: int | None = None
        self.agreed_seq = 0
        self._findings = findings
        #: Position of the last broken link, and the value that the chain should have had there.
        self._doubt = (0, self.chain)
        self._anchors = self._readable(anchors)
        self._anchor = next(self._anchors, None)

    def check(self, page: ChainPage) -> None:
        """Verify the chain over the next rows."""
        previous = self.chain
        # The link across a gap is unknown, so it is not judged.
        judged = page.seq == self.seq + 1 and bool(self.chain)
        if page.seq != self.seq + 1:
            self._gap(self.seq + 1, page.seq - 1)
        for seq, row in enumerate(page.rows, page.seq):
            chain, epoch = row[1], row[2]
            if link(previous, seq, epoch, row[0]) != chain and judged:
                self._broken(page.row(seq), previous)
            if epoch < self.epoch:
                self._epoch_fell(page.row(seq))
            else:
                self.epoch = epoch
            previous, judged = chain, True
        self.seq, self.chain = page.last, previous
        while self._anchor is not None and self._anchor.seq <= self.seq:
            self._compare(self._anchor, page)
            self._anchor = next(self._anchors, None)

    def finish(self) -> None:
        """Check, after the last row, that the log is as long as its anchors say."""
        longest = self._anchor
        for anchor in self._anchors:
            longest = anchor
        if longest is None:
            if self.anchored_seq is None:
                self._findings.notes.append("there is no anchor file, so a lost tail would not be noticed")
            return
        self._findings.add(
            FindingKind.LOST_TAIL,
            f"the log ends here, but once had {longest.seq} events: its tail was lost",
            seq=self.seq,
            expected=str(longest.seq),
            found=str(self.seq),
        )

    def _gap(self, first: int, last: int) -> None:
        missing = "the event is missing" if first == last else f"the events up to seq {last} are missing"
        self._findings.add(
            FindingKind.MISSING_EVENT,
            f"{missing}; seq {last + 1} comes next",
            seq=first,
            expected=str(first),
            found=str(last + 1),
        )

    def _broken(self, row: ChainRow, previous: bytes) -> None:
        """Report a wrong link, unless the previous row is at fault, which was reported already."""
        doubtful_seq, should_have_been = self._doubt
        if doubtful_seq == row.seq - 1 and link(should_have_been, row.seq, row.epoch, row.data) == row.chain:
            return
        expected = link(previous, row.seq, row.epoch, row.data)
        self._doubt = (row.seq, expected)
        self._findings.add(
            FindingKind.CHAIN,
            "the chain is broken: the event or its chain value is not what was written",
            seq=row.seq,
            stream=row.stream,
            expected=expected.hex(),
            found=row.chain.hex(),
        )

    def _epoch_fell(self, row: ChainRow) -> None:
        self._findings.add(
            FindingKind.EPOCH,
            f"writer {row.epoch} appended it, after writer {self.epoch} had taken over",
            seq=row.seq,
            stream=row.stream,
            expected=f"at least {self.epoch}",
            found=str(row.epoch),
        )

    def _compare(self, anchor: Head, page: ChainPage) -> None:
        """Compare an anchor with the row at its position, which is in this page or missing."""
        self.anchored_seq = anchor.seq
        if anchor.seq < page.seq:
            return
        row = page.row(anchor.seq)
        if row.chain == anchor.chain:
            self.agreed_seq = anchor.seq
        else:
            self._findings.add(
                FindingKind.ANCHOR,
                "the chain differs from the anchor: the log was rewritten up to here",
                seq=row.seq,
                expected=anchor.chain.hex(),
                found=row.chain.hex(),
            )

    def _readable(self, anchors: Iterable[Head]) -> Iterator[Head]:
        """Yield the anchors in order of position, as far as they can be read."""
        try:
            yield from anchors
        except UnusableLogError as error:
            self._findings.add(FindingKind.ANCHOR, str(error))
