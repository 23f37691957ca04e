"""The stored form of data items: plain JSON of a bounded size."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from mephisto_es.core.abstractions.work_data import InitializationData
from mephisto_es.core.errors import ConfigError
from mephisto_es.core.operations.launching.assignment_data import encoded, is_usable

LIMIT = 1000


def test_values_of_numpy_count_as_what_they_stand_for() -> None:
    item = {"yes": np.bool_(True), "count": np.int64(3), "share": np.float32(0.5), "row": np.array([1, 2])}
    stored = json.loads(encoded(InitializationData(shared=item), LIMIT))
    assert stored["shared"] == {"yes": True, "count": 3, "share": 0.5, "row": [1, 2]}


@pytest.mark.parametrize("value", [object(), np.array, 1j], ids=["object", "type", "complex"])
def test_what_json_does_not_have_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="cannot be stored as JSON"):
        encoded(InitializationData(shared={"value": value}), LIMIT)


def test_the_size_of_an_item_is_bounded() -> None:
    size = len(encoded(InitializationData(shared={"text": ""}), LIMIT))
    encoded(InitializationData(shared={"text": "x" * (LIMIT - size)}), LIMIT)
    with pytest.raises(
        ConfigError, match=re.escape("has 1,001 bytes as JSON, more than mephisto.task.max_item_bytes (1,000)")
    ):
        encoded(InitializationData(shared={"text": "x" * (LIMIT - size + 1)}), LIMIT)
    assert is_usable({"text": "x"}, LIMIT)
    assert not is_usable({"text": "x" * LIMIT}, LIMIT)
