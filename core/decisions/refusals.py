"""Reasons for which a worker gets no work, with the text that its page shows."""

from __future__ import annotations

from enum import Enum


class RefusalReason(Enum):
    """Reason for which a worker gets no work. The log holds the name; the page shows the value."""

    NOT_QUALIFIED = (
        "You are not currently qualified to work on this task. If you think this is a mistake, please contact us."
    )
    NO_AVAILABLE_UNITS = "There is currently no available work, please try again later."
    TOO_MANY_CONCURRENT = "You are already working on as many of these tasks as you may have at a time."
    MAX_FOR_TASK = "You have already worked on as many of these tasks as one person may."
    TASK_MISSING = (
        "You appear to have already completed this task, or have disconnected long enough for your session to clear."
    )
