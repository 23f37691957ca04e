"""Loads crowd-kit when it is first needed, and says what to install if it is missing."""

from __future__ import annotations

import importlib
import warnings
from typing import cast

from ...core.errors import ConfigError
from ...projections.queries.quality.labels import Aggregator

EXTRA_HINT = "Run: pip install 'mephisto-es[quality]'"
#: Packages that the extra brings.
_PACKAGES = frozenset({"crowdkit", "pandas", "numpy", "scipy", "sklearn", "nltk", "attr", "tqdm"})


def load_aggregator() -> Aggregator:
    """Return the function that estimates labels and skills with crowd-kit.

    Raises:
        ConfigError: the extra `quality` is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = importlib.import_module(".aggregation", __package__)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _PACKAGES:
            raise
        raise ConfigError(
            f"Dawid-Skene and MACE need {missing}, which is not installed", key="quality", hint=EXTRA_HINT
        ) from error
    return cast(Aggregator, module.aggregate)


def find_aggregator() -> Aggregator | None:
    """Return the function that estimates labels and skills with crowd-kit; None if it is not installed."""
    try:
        return load_aggregator()
    except ConfigError:
        return None
