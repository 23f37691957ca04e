"""Steps of the settlement rules that random situations reach only now and then."""

from __future__ import annotations

from itertools import product

from mephisto_es.core.decisions.settlement import SETTLEMENTS, Absence, Attempts, ByLooking, NextStep, next_step
from mephisto_es.events.payment import Answer, Sighting


def test_a_refusal_that_a_look_confirms_is_a_failure() -> None:
    rule = ByLooking(lag_seconds=60.0, absence=Absence.PROVES_NOTHING_HAPPENED, is_refusal_final=False)
    refused = Attempts(
        answer=Answer.REFUSED, token_since=0.0, sent_at=0.0, sighting=Sighting.NOT_THERE, looked_at=100.0
    )
    assert next_step(rule, refused, now=200.0) is NextStep.FAILED


def test_every_rule_has_a_step_for_every_situation_and_what_is_done_is_settled() -> None:
    times = (None, 0.0, 50.0, 100_000.0)
    for rule in SETTLEMENTS.values():
        for answer, sighting, since, sent, looked in product(Answer, (None, *Sighting), times, times, times):
            attempts = Attempts(answer=answer, token_since=since, sent_at=sent, sighting=sighting, looked_at=looked)
            for now in (60.0, 10_000.0, 200_000.0):
                step = next_step(rule, attempts, now)
                assert isinstance(step, NextStep)
                if sighting is Sighting.THERE and isinstance(rule, ByLooking) and answer is Answer.DONE:
                    assert step is NextStep.SETTLED
