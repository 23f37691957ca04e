"""Prepares the sentence rating example for a simulated crowd: configuration, data and answers."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from random import Random

from omegaconf import DictConfig

from ...core.operations.configuration.task_config import load_task_config
from ...core.operations.hydra_config import build_default_task_config, register_script_config
from ..blueprints.static_task import SharedStaticTaskState

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "sentence_rating"
_CONFIG_NAME = "sentence_rating_by_a_crowd"


def configuration(
    server_type: str | None = None, architect: str = "local", overrides: Sequence[str] = ()
) -> DictConfig:
    """Return the example's configuration; a server on this machine takes a free port.

    Args:
        server_type: the router, python or node; by default the architect's default.
        architect: the architect.
        overrides: further settings, as on a command line.
    """
    register_script_config(_CONFIG_NAME, build_default_task_config(EXAMPLE.name))
    settings = [
        f"mephisto/architect={architect}",
        "mephisto.blueprint.data_csv=null",  # `sentences` takes its place
        *overrides,
    ]
    if architect == "local":
        settings.append("mephisto.architect.port=0")
    if server_type is not None:
        settings.append(f"mephisto.architect.server_type={server_type}")
    return load_task_config(EXAMPLE / "run_task.py", "hydra_configs", _CONFIG_NAME, settings)


def sentences(units: int) -> SharedStaticTaskState:
    """Return as many of the example's sentences as there are units, repeated if there are too few."""
    with (EXAMPLE / "data" / "sentences.csv").open(encoding="utf-8", newline="") as file:
        return SharedStaticTaskState(static_task_data=list(islice(cycle(csv.DictReader(file)), units)))


def rate(_sentence: object, rng: Random) -> object:
    """Return a random rating."""
    return {"rating": rng.randint(1, 5), "comment": None}
