"""Tells why a run ended early: by a failure of its own, by a cancellation, or because the log failed."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from ...errors import LaunchError, LogError, MephistoError, leaves
from ..logger_core import get_logger

logger = get_logger(__name__)


def is_cancellation(error: BaseException) -> bool:
    """Return True if nothing failed: the tasks of the run were cancelled."""
    return all(isinstance(one, trio.Cancelled) for one in _errors_in(error))


def failure_of(error: BaseException) -> LaunchError | None:
    """Return why a run failed.

    Args:
        error: what the run's tasks raised.

    Returns:
        The failure; None if the run was interrupted, or if the log failed and nothing can be recorded.
    """
    errors = [one for one in _errors_in(error) if not isinstance(one, trio.Cancelled)]
    if any(isinstance(one, LogError) or not isinstance(one, Exception) for one in errors):
        return None
    ours = [one for one in errors if isinstance(one, MephistoError)]
    if not ours:
        logger.error("an unexpected error stops the run", exc_info=error)
        kinds = ", ".join(sorted({type(one).__name__ for one in errors}))
        return LaunchError("live", f"an unexpected {kinds}; the operator's log has the traceback")
    return ours[0] if isinstance(ours[0], LaunchError) else LaunchError("live", str(ours[0]))


def _errors_in(error: BaseException) -> Sequence[BaseException]:
    return [*leaves(error)] if isinstance(error, BaseExceptionGroup) else [error]
