"""A list of workers at a provider's site, as the log of one run has it."""

from __future__ import annotations

from mephisto_es.core.lifecycles.site_list import SiteListState, evolve_lists, list_of
from mephisto_es.events.ids import QualificationId, WorkerId
from mephisto_es.events.payment import Answer
from mephisto_es.events.task_run import SiteListAnswered, SiteListEvent, SiteListIntended, SiteListObserved

ANNA, BERT, CLEO = map(WorkerId, (1, 2, 3))
CAREFUL = QualificationId(7)


def after(*events: SiteListEvent) -> SiteListState:
    lists: tuple[SiteListState, ...] = ()
    for event in events:
        lists = evolve_lists(lists, event)
    return list_of(lists, None)


def nobody() -> frozenset[WorkerId]:
    return frozenset()


def these(*workers: WorkerId) -> frozenset[WorkerId]:
    return frozenset(workers)


def intended(*added: WorkerId, removed: tuple[WorkerId, ...] = ()) -> SiteListIntended:
    return SiteListIntended(qualification=None, added=added, removed=removed)


def answered(answer: Answer, reason: str = "") -> SiteListAnswered:
    return SiteListAnswered(qualification=None, answer=answer, reason=reason)


def test_a_change_is_open_until_it_is_answered() -> None:
    known = after(intended(ANNA, BERT))
    assert (known.is_open, known.answer, known.members) == (True, Answer.NOT_SENT, nobody())
    known = after(intended(ANNA, BERT), answered(Answer.UNKNOWN, "no answer"))
    assert (known.is_open, known.answer, known.reason) == (True, Answer.UNKNOWN, "no answer")
    known = after(intended(ANNA, BERT), answered(Answer.UNKNOWN), answered(Answer.DONE))
    assert (known.is_open, known.members, known.reason) == (False, these(ANNA, BERT), "")
    known = after(intended(ANNA, BERT), answered(Answer.DONE), intended(CLEO, removed=(ANNA,)), answered(Answer.DONE))
    assert known.members == these(BERT, CLEO)


def test_a_refused_change_and_one_that_never_happened_change_nothing() -> None:
    known = after(intended(ANNA), answered(Answer.REFUSED, "frozen"))
    assert (known.is_open, known.members, known.refused, known.reason) == (False, nobody(), these(ANNA), "frozen")
    assert after(intended(ANNA), answered(Answer.REFUSED, "frozen"), intended(BERT)).refused == nobody()
    known = after(intended(ANNA), answered(Answer.REFUSED, "frozen"), intended(BERT))
    assert (known.answer, known.reason) == (Answer.NOT_SENT, "")
    known = after(intended(ANNA), answered(Answer.NOT_SENT))
    assert (known.is_open, known.members, known.refused) == (False, nobody(), nobody())


def test_changes_on_the_sites_pages_are_kept_apart() -> None:
    base = (intended(ANNA), answered(Answer.DONE))
    seen = SiteListObserved(qualification=None, added=(BERT,), removed=(ANNA, CLEO))
    known = after(*base, seen)
    assert (known.members, known.put_in_there, known.taken_out_there) == (these(ANNA), these(BERT), these(ANNA))
    known = after(*base, seen, SiteListObserved(qualification=None, added=(ANNA,), removed=(BERT,)))
    assert (known.members, known.put_in_there, known.taken_out_there) == (these(ANNA), nobody(), nobody())
    # A decision here takes over.
    known = after(*base, seen, intended(ANNA, BERT), answered(Answer.DONE))
    assert (known.members, known.put_in_there, known.taken_out_there) == (these(ANNA, BERT), nobody(), nobody())


def test_each_qualification_has_a_list_of_its_own() -> None:
    lists = evolve_lists((), intended(ANNA))
    lists = evolve_lists(lists, SiteListIntended(qualification=CAREFUL, added=(BERT,)))
    assert (list_of(lists, None).adding, list_of(lists, CAREFUL).adding) == (these(ANNA), these(BERT))
    assert list_of(lists, QualificationId(8)) == SiteListState(qualification=QualificationId(8))
