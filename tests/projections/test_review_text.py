"""Work that is selected by a text, wherever the payloads are."""

from __future__ import annotations

from pathlib import Path

import pytest

from mephisto_es.adapters.log.sqlite.as_of import open_as_of
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.projections.queries.review_queue import ReviewFilter, review_queue
from mephisto_es.projections.registry import PROJECTIONS

from ..sample_log import RUN, judged_history

WORDS = ("Straße", "STRASSE 7", "café", "CAFÉ", "nothing", "100%")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "mephisto.db"
    history = judged_history(
        len(WORDS), 1, 2, lambda _, item: {"answer": item}, shared=lambda item: {"word": WORDS[item - 1]}
    )
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(history)
    return path


@pytest.mark.parametrize(
    ("text", "units"),
    [("strasse", [1, 2]), ("STRAßE", [1, 2]), ("CAFÉ", [3, 4]), ("Nothing", [5]), ("0%", [6]), ('"answer":4', [4])],
)
def test_a_text_is_found_in_any_case_of_letters(database: Path, text: str, units: list[int]) -> None:
    with open_as_of(database) as moment:
        assert list(review_queue(moment, RUN, ReviewFilter(text=text)).units) == units
        moment.db.has_payloads = False
        assert list(review_queue(moment, RUN, ReviewFilter(text=text)).units) == units
