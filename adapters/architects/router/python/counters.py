"""Counts what the router dropped or refused, for monitoring."""

from collections import Counter


class Counters:
    """Counts since the process started."""

    def __init__(self) -> None:
        #: Sockets that claimed to be the operator without the run's secret.
        self.refused_operators = 0
        self._dropped: Counter[str] = Counter()

    def drop(self, reason: str) -> None:
        """Count something that was discarded.

        Args:
            reason: a short fixed name, never text from a client.
        """
        self._dropped[reason] += 1

    def refuse_operator(self) -> None:
        """Count a socket that claimed to be the operator and could not prove it."""
        self.refused_operators += 1

    @property
    def dropped(self) -> dict[str, int]:
        """Numbers of discarded things, by reason."""
        return dict(self._dropped)
