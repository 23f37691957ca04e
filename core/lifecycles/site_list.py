"""State of a list of workers at a provider's site that follows one here: the blocked, or those with a qualification."""

from __future__ import annotations

from typing import assert_never

import msgspec
from msgspec.structs import replace

from ...events.ids import QualificationId, WorkerId
from ...events.payment import Answer
from ...events.task_run import SiteListAnswered, SiteListEvent, SiteListIntended, SiteListObserved

_NOBODY = frozenset[WorkerId]()


class SiteListState(msgspec.Struct, frozen=True, kw_only=True):
    """State of one list, as far as one run knows it."""

    #: None: the list of blocked workers.
    qualification: QualificationId | None
    #: Workers whom the site has put into the list on our request.
    members: frozenset[WorkerId] = _NOBODY
    #: The change that is under way; nobody: there is none.
    adding: frozenset[WorkerId] = _NOBODY
    removing: frozenset[WorkerId] = _NOBODY
    #: The answer to the change that is under way; `NOT_SENT`: there is none yet.
    answer: Answer = Answer.NOT_SENT
    #: Workers of the last change, if the site refused it, and its reason.
    refused: frozenset[WorkerId] = _NOBODY
    reason: str = ""
    #: Workers whom somebody has put into the list on the site's pages.
    put_in_there: frozenset[WorkerId] = _NOBODY
    #: Members whom somebody has taken out there.
    taken_out_there: frozenset[WorkerId] = _NOBODY

    @property
    def is_open(self) -> bool:
        """True if a change was intended, and it is not known what became of it."""
        return bool(self.adding or self.removing)


def list_of(lists: tuple[SiteListState, ...], qualification: QualificationId | None) -> SiteListState:
    """Return the state of a list; a new one if nothing is known of it.

    Args:
        lists: the lists of a run.
        qualification: the qualification; None for the list of blocked workers.
    """
    return next(
        (one for one in lists if one.qualification == qualification), SiteListState(qualification=qualification)
    )


def evolve_lists(lists: tuple[SiteListState, ...], event: SiteListEvent) -> tuple[SiteListState, ...]:
    """Return the lists of a run after an event."""
    others = [one for one in lists if one.qualification != event.qualification]
    return (*others, _evolve(list_of(lists, event.qualification), event))


def _evolve(known: SiteListState, event: SiteListEvent) -> SiteListState:
    match event:
        case SiteListIntended():
            added, removed = frozenset(event.added), frozenset(event.removed)
            return replace(known, adding=added, removing=removed, answer=Answer.NOT_SENT, refused=_NOBODY, reason="")
        case SiteListAnswered(answer=Answer.DONE):
            changed = known.adding | known.removing
            return SiteListState(
                qualification=known.qualification,
                members=(known.members | known.adding) - known.removing,
                put_in_there=known.put_in_there - changed,
                taken_out_there=known.taken_out_there - changed,
            )
        case SiteListAnswered(answer=Answer.REFUSED):
            refused = known.adding | known.removing
            return replace(known, adding=_NOBODY, removing=_NOBODY, refused=refused, reason=event.reason)
        case SiteListAnswered(answer=Answer.NOT_SENT):
            return replace(known, adding=_NOBODY, removing=_NOBODY)
        case SiteListAnswered():
            return replace(known, answer=event.answer, reason=event.reason)
        case SiteListObserved():
            added, removed = frozenset(event.added), frozenset(event.removed)
            return replace(
                known,
                put_in_there=(known.put_in_there | (added - known.members)) - removed,
                taken_out_there=(known.taken_out_there | (removed & known.members)) - added,
            )
        case _:
            assert_never(event)
