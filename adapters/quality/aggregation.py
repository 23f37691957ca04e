"""Estimates labels and the skill of workers with crowd-kit: Dawid-Skene and MACE. Needs the extra `quality`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import pandas
from crowdkit.aggregation import MACE, DawidSkene

from ...events.ids import AssignmentId, WorkerId
from ...projections.queries.quality.labels import DAWID_SKENE, Estimate, Vote

MACE_METHOD = "mace"
#: Votes above which MACE, which is slow, is left out.
MAX_MACE_VOTES = 50_000


def aggregate(votes: Sequence[Vote]) -> list[Estimate]:
    """Return what Dawid-Skene and MACE make of votes, each with the results of crowd-kit's own parameters.

    Args:
        votes: the answers to one question; at most one of each worker for an item, and not all the same.
    """
    # MACE numbers workers and labels in two ways, which are the same if both first appear in order.
    workers = {worker: number for number, worker in enumerate(dict.fromkeys(vote.worker for vote in votes))}
    labels = {choice: number for number, choice in enumerate(dict.fromkeys(vote.choice for vote in votes))}
    data = pandas.DataFrame(
        {
            "task": [int(vote.item) for vote in votes],
            "worker": [workers[vote.worker] for vote in votes],
            "label": [labels[vote.choice] for vote in votes],
        }
    )
    choice_of = {label: choice for choice, label in labels.items()}
    with warnings.catch_warnings():
        # What crowd-kit does that newer versions of pandas and numpy deprecate is for its authors.
        warnings.simplefilter("ignore")
        found = [_dawid_skene(data, workers, choice_of)]
        if len(votes) <= MAX_MACE_VOTES:
            found.append(_mace(data, workers, choice_of))
    return found


def _dawid_skene(data: pandas.DataFrame, workers: dict[WorkerId, int], choice_of: dict[int, int]) -> Estimate:
    model = DawidSkene().fit(data)
    priors, errors = model.priors_, model.errors_
    diagonal = {(worker, label): float(errors.at[(worker, label), label]) for worker, label in errors.index}
    skills = {
        worker: sum(float(prior) * diagonal.get((number, label), 0.0) for label, prior in priors.items())
        for worker, number in workers.items()
    }
    return Estimate(DAWID_SKENE, _best(model.probas_, choice_of), skills)


def _mace(data: pandas.DataFrame, workers: dict[WorkerId, int], choice_of: dict[int, int]) -> Estimate:
    # All restarts begin with the same random numbers, so one is as good as ten.
    model = MACE(n_restarts=1).fit(data)
    skills = {worker: float(model.spamming_[number, 1]) for worker, number in workers.items()}
    return Estimate(MACE_METHOD, _best(model.probas_, choice_of), skills)


def _best(probabilities: pandas.DataFrame, choice_of: dict[int, int]) -> dict[AssignmentId, tuple[int, float]]:
    best, most = probabilities.idxmax(axis="columns"), probabilities.max(axis="columns")
    return {AssignmentId(int(item)): (choice_of[int(best[item])], min(float(most[item]), 1.0)) for item in best.index}
