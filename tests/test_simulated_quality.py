"""Simulations in which items get answers until their labels are sure, and units evaluate their workers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import pytest
from msgspec.structs import replace

from mephisto_es.core.commands.labels import AssessLabels, ItemAnswers
from mephisto_es.core.decisions import evaluate_worker
from mephisto_es.core.decisions.labels import assess_labels
from mephisto_es.core.lifecycles.unit import UnitStatus
from mephisto_es.core.operations.logger_core import set_mephisto_log_level
from mephisto_es.core.operations.task_code.submission_callbacks import SubmissionCallbacks
from mephisto_es.core.ports import NewEvent
from mephisto_es.core.state import decision_state
from mephisto_es.core.state.decision_state import DecisionState

from .simulation.outcome import ViolationError
from .simulation.simulate import simulate

#: What is planted must be seen by one of so many seeds.
SEEDS_UNTIL_SEEN = 1000
#: What happens in few simulations, and has to happen in some.
RARE = (
    *("label: further units", "label: confidence", "label: maximum", "label: decided", "label: units withdrawn"),
    *("screening right", "screening wrong", "gold right", "gold wrong", "gold limit", "judgements revoked"),
    *("refused: qualification", "refused: worker_qualifies", "refused: evaluation_decided"),
)
#: Seeds that reach all of it today.
REACHING_SEEDS = (20, 38, 18, 36, 33)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Operators that meet faults say so."""
    set_mephisto_log_level(level="critical")
    yield
    set_mephisto_log_level(level="info")


def test_rare_judgements_are_reached(tmp_path: Path) -> None:
    left = set(RARE)
    for seed in chain(REACHING_SEEDS, range(SEEDS_UNTIL_SEEN)):
        if not left:
            break
        left -= simulate(seed, tmp_path, has_quality=True).judged.keys()
    assert not left


def _one_more(state: DecisionState, command: AssessLabels, item: ItemAnswers) -> Iterator[NewEvent]:
    """Let an item have an answer more than its rule allows."""
    return _assessed(state, replace(command, rule=replace(command.rule, most=command.rule.most + 1)), item)


_assessed = assess_labels._assessed


@pytest.mark.parametrize(
    ("owner", "name", "wrong", "seen", "first"),
    [
        (assess_labels, "_assessed", _one_more, "was applied", 20),
        (decision_state, "COUNTED_UNIT_STATUSES", frozenset({UnitStatus.COMPLETED}), "count for a label", 1),
        (evaluate_worker, "_screening_events", lambda *_: [], "failed the screening", 33),
        (SubmissionCallbacks, "_judge_again", lambda *_: None, "waited for the judgement", 180),
    ],
    ids=["more answers than allowed", "approved answers ignored", "screening without result", "evaluations forgotten"],
)
def test_wrong_judgements_would_be_seen(
    owner: object, name: str, wrong: object, seen: str, first: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner, name, wrong)
    with pytest.raises(ViolationError, match=seen):
        simulate_all(range(first, first + SEEDS_UNTIL_SEEN), tmp_path)


def simulate_all(seeds: Iterable[int], folder: Path) -> None:
    """Run seeds one after another."""
    for seed in seeds:
        simulate(seed, folder, has_quality=True)
