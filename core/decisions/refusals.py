"""Texts that a worker's page shows when the worker gets no work: Mephisto's, where it has one, to the letter.

The decisions give a reason, the log records its name, and only the packet to the page has the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ...events.engagement import RefusalReason

_TEXTS: Mapping[RefusalReason, str] = MappingProxyType(
    {
        RefusalReason.NOT_QUALIFIED: "You are not currently qualified to work on this task...",
        RefusalReason.NO_AVAILABLE_UNITS: "There is currently no available work, please try again later...",
        RefusalReason.TOO_MANY_CONCURRENT: (
            "You are currently working on too many tasks concurrently to accept another, please finish your current "
            "work."
        ),
        RefusalReason.PAUSED: "This task is paused. Please come back later.",
        RefusalReason.CONSENT_MISSING: (
            "This task needs your consent. Without it you can get no work here, and nothing that you send is used."
        ),
        RefusalReason.TECHNICAL_PROBLEM: (
            "This task has a technical problem. It is not your fault, and nothing you did is lost. "
            "Please come back later."
        ),
        RefusalReason.MAX_FOR_TASK: (
            "You have already completed the maximum amount of tasks the requester has set for this task."
        ),
        RefusalReason.NOT_INVITED: (
            "This address does not let you in. Please open the whole address that you were given, in the same browser."
        ),
        RefusalReason.INVITATION_EXPIRED: "This invitation has expired.",
        RefusalReason.INVITATION_USED: ("This invitation was already used in another browser. Please go on there."),
        RefusalReason.ENOUGH_PEOPLE: "Enough people have taken part. Thank you for your interest.",
        RefusalReason.TASK_MISSING: (
            "You appear to have already completed this task, or have disconnected long enough for your session to "
            "clear..."
        ),
    }
)


def refusal_text(reason: RefusalReason) -> str:
    """Return the text that a worker's page shows.

    Args:
        reason: why the worker gets no work.
    """
    return _TEXTS[reason]
