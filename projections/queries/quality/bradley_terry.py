"""Scores options from comparisons of two with the Bradley-Terry model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from math import exp, log
from typing import NamedTuple

#: Wins and losses of each option against an imaginary one of average strength. Without them, an option that never lost
#: would be infinitely strong.
PRIOR = 0.5
MAX_ITERATIONS = 1000
#: Change of all strengths, relative to them, below which they are final.
TOLERANCE = 1e-9


class OptionVotes(NamedTuple):
    """The number of times that one option was preferred to another."""

    winner: str
    loser: str
    votes: int


def bradley_terry(comparisons: Iterable[OptionVotes], prior: float = PRIOR) -> dict[str, float]:
    """Return the score of each option: the logarithm of its strength, 0 being average.

    One option is preferred to another with the probability `win_probability` of their scores. Computed with the
    minorization-maximization algorithm of Hunter (2004).

    Args:
        comparisons: the comparisons.
        prior: wins and losses of each option against an imaginary one of average strength.
    """
    wins: defaultdict[str, float] = defaultdict(float)
    games: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    for winner, loser, votes in comparisons:
        wins[winner] += votes
        games[winner][loser] += votes
        games[loser][winner] += votes
    strengths = dict.fromkeys(games, 1.0)
    for _ in range(MAX_ITERATIONS):
        updated = {
            one: (wins[one] + prior) / (_expected(strengths, one, games[one]) + 2 * prior / (strengths[one] + 1))
            for one in strengths
        }
        is_final = all(abs(updated[one] - strengths[one]) <= TOLERANCE * strengths[one] for one in strengths)
        strengths = updated
        if is_final:
            break
    return {one: log(strength) for one, strength in strengths.items()}


def win_probability(score: float, other: float) -> float:
    """Return the probability with which the option with one score is preferred to the one with another."""
    return 1 / (1 + exp(other - score))


def _expected(strengths: Mapping[str, float], one: str, games: Mapping[str, float]) -> float:
    return sum(count / (strengths[one] + strengths[other]) for other, count in games.items())
