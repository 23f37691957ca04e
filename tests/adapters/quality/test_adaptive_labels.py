"""Items that get answers until their labels are sure enough: what it saves, and that the intervals stay true."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
import trio
import trio.testing
from omegaconf import DictConfig, OmegaConf

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.architects.memory.router import MemoryRouter, PageGoneError
from mephisto_es.adapters.blueprints.static_task import SharedStaticTaskState, StaticTaskBlueprintArgs
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.adapters.quality.stop_plan import stop_plan
from mephisto_es.core.operations.hydra_config import MephistoConfig
from mephisto_es.core.ports import AppendRequest, Outcome
from mephisto_es.events import streams
from mephisto_es.events.assignment import AssignmentSettled
from mephisto_es.events.ids import TaskRunId
from mephisto_es.projections.queries.quality.answers import questions_of, read_work
from mephisto_es.projections.queries.quality.class_shares import class_shares
from mephisto_es.projections.queries.quality.stop_labels import stop_labels

from ...core.operations.operator_harness import ask, open_harness
from ...projections.memory_as_of import MemoryAsOf
from .label_simulation import USUAL, coverage

CLASSES = ("cat", "dog", "bird")
ITEMS = [{"text": CLASSES[number % 3], "number": number} for number in range(60)]


def test_a_quarter_fewer_answers_give_labels_as_good_and_true_intervals() -> None:
    held, outcomes = coverage(USUAL, range(40))
    items = len(outcomes) * USUAL.items
    assert 0.92 <= held <= 0.98
    assert sum(one.answers for one in outcomes) <= 0.75 * 3 * items
    assert sum(one.right for one in outcomes) / items >= sum(one.right_of_three for one in outcomes) / items - 0.005


def test_a_share_is_known_only_if_answers_can_be_compared() -> None:
    assert class_shares({(1, 0): 50, (0, 1): 50}, 2) is None
    assert class_shares({(2,): 50}, 1) is None
    found = class_shares({(2, 0): 80, (0, 2): 20}, 2)
    assert found is not None
    assert found.shares[0] == pytest.approx(0.8, abs=0.01)
    (low, high), (other_low, other_high) = found.intervals
    # A binomial of 100 items, whose labels are nearly sure.
    assert (low, high) == pytest.approx((0.70, 0.87), abs=0.02)
    assert (other_low, other_high) == pytest.approx((1 - high, 1 - low))
    assert found.label_posterior((2, 0), 0) > found.label_posterior((1, 1), 0) > found.label_posterior((0, 2), 0)
    least, most = found.label_interval((1, 0), 0)
    assert least < found.label_posterior((1, 0), 0) < most


class KeptLog(MemoryLog):
    """A log in memory that keeps what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[AppendRequest] = []

    def commit(self, batch: Sequence[AppendRequest]) -> list[Outcome]:
        self.requests += batch
        return super().commit(batch)


def configuration() -> DictConfig:
    cfg: DictConfig = OmegaConf.structured(MephistoConfig(blueprint=StaticTaskBlueprintArgs()))
    cfg.blueprint._blueprint_type = "static_task"
    cfg.blueprint.form = [{"type": "choice", "name": "label", "options": list(CLASSES)}]
    cfg.blueprint.stop_when = {"confidence": 0.95, "min": 2, "max": 5}
    cfg.provider._provider_type = "harness"
    cfg.architect._architect_type = "memory"
    cfg.task.task_title, cfg.task.task_description, cfg.task.task_tags = "Animals", "Say what it is.", "animals"
    cfg.task.task_reward, cfg.task.maximum_units_per_worker = "0.10", 30
    return cfg


async def take_part(router: MemoryRouter, worker: str, skill: float) -> None:
    """Answer as long as there is work."""
    chance = Random(f"crowd {worker}")
    for visit in range(30):
        try:
            details = await ask(router, worker, visit)
            if details["agent_id"] is None:
                # All that is open is in other hands, or known to the worker.
                await trio.sleep(60)
                continue
            await trio.sleep(chance.uniform(5, 60))
            truth = details["init_task_data"]["text"]
            wrong = [label for label in CLASSES if label != truth]
            router.submit_task(
                details["agent_id"], {"label": truth if chance.random() < skill else chance.choice(wrong)}
            )
        except PageGoneError:
            return


async def test_a_crowd_on_a_real_operator(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    MemoryArchitect.routers.clear()
    chance = Random("skills")
    skills = [chance.betavariate(28, 2) for _ in range(20)]
    log = KeptLog()
    async with open_harness(tmp_path, log) as harness, trio.open_nursery() as crowd:
        shared = SharedStaticTaskState(static_task_data=ITEMS)
        run = await harness.operator.launch_task_run_or_die(configuration(), shared)
        router = harness.router(harness.operator.get_running_task_runs()[run])
        for number, skill in enumerate(skills):
            crowd.start_soon(take_part, router, f"worker-{number}", skill)
        await harness.operator.wait_for_runs_then_shutdown(log_rate=None)
    settled = {
        streams.number_of(one.envelope.stream): one.envelope.event.evidence
        for one in harness.log.read()
        if isinstance(one.envelope.event, AssignmentSettled)
    }
    labels = [settled[number] for number in sorted(settled)]
    moment, number = MemoryAsOf(log.requests), TaskRunId(int(run))
    final = stop_labels(moment, number, stop_plan(moment, number), questions_of(read_work(moment, number)))
    assert final == {"label": {number: (one.label, one.posterior) for number, one in settled.items()}}
    assert len(labels) == len(ITEMS)
    assert all(one.least <= len(one.agents) <= one.most for one in labels)
    assert sum(len(one.agents) for one in labels) <= 0.75 * 3 * len(ITEMS)
    right = sum(one.label == item["text"] for one, item in zip(labels, ITEMS, strict=True))
    assert right / len(ITEMS) >= right_of_three(skills) - 0.005


def right_of_three(skills: Sequence[float]) -> float:
    """Return the share of right labels by three answers to each item, of many, by the same workers."""
    chance, found = Random("three"), 0
    for _ in range(3000):
        answers = [chance.random() < skill for skill in chance.sample(skills, 3)]
        found += sum(answers) > 1 or (sum(answers) == 1 and chance.random() < 1 / 6)  # two differ, one drawn
    return found / 3000
