"""The quality page: the figures of `mephisto-es quality`, and what suggests a look, with links to the work."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from click.testing import CliRunner

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.log.sqlite.as_of import open_as_of
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.web.access import Access
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import judged_history
from .visitor import Visitor, words_of

QUALITY = "/runs/1/quality"
AGGREGATION = "mephisto_es.adapters.quality.aggregation"


def answers_of(worker: int, item: int) -> dict[str, object]:
    comment = 'what I "always" write here' if worker == 4 else f"comment {worker} on item {item}, and more"
    return {"label": "a" if worker == 4 else "abc"[item % 3], "comment": comment}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config: dict[str, object] = {"quality": {"min_gold": 0.8, "min_seconds": None}}
    path = tmp_path_factory.mktemp("log") / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(judged_history(30, 4, 4, answers_of, golds={1: True, 4: False}, config=config))
    return path


@pytest.fixture
def reader(judged: Path) -> Iterator[Visitor]:
    visitor = Visitor(judged, Access(None), "127.0.0.1")
    yield visitor
    visitor.log.close()


def printed(database: Path, *words: str) -> list[str]:
    return CliRunner().invoke(command.main, ["quality", str(database), "1", *words]).stdout.splitlines()


async def test_the_page_has_the_figures_of_the_command(reader: Visitor, judged: Path) -> None:
    said = await reader.read(QUALITY)
    lines = printed(judged)
    figures = [" ".join(line.split()) for line in lines if line.startswith(("  answers ", "  agreement ", "  labels "))]
    assert len(figures) == 6
    for line in figures:
        assert line in said
    for line in lines:
        if "look at " in line:
            assert line.partition(": ")[2] in said
    for method in (line.split("  ")[2] for line in lines[lines.index("How these figures are computed") + 1 :]):
        assert method in said
    assert "rank 4 of 4" in said
    assert said.index("Worth a look") < said.index("worker-4") < said.index("Try these rules")


async def test_links_lead_to_the_work(reader: Visitor) -> None:
    page = await reader.get(QUALITY)
    text = unescape(page.text)
    for link, shown in (
        ("/runs/1/review/desk?worker=worker-4&kind=gold", "1 of 1 , worth"),
        ("/runs/1/review/desk?worker=worker-4", "1 of 31 , worth"),
        ("/runs/1/review/desk?text=what+I", "1 of 30 , worth"),
        ("/workers/4/work", "worker-4"),
        ("/workers/4", "Block"),
    ):
        assert f'href="{link}"' in text
        said = await reader.read(link)
        assert shown in said, said[400:1500]
    desk = await reader.get("/runs/1/review/desk?worker=worker-4")
    assert f'href="{QUALITY}#worker-4"' in desk.text
    assert 'id="worker-4"' in text


async def test_rules_are_tried_and_bounded_and_decide_nothing(reader: Visitor, judged: Path) -> None:
    assert "4 worth a look" in await reader.read(f"{QUALITY}?min_seconds=90")
    said = await reader.read(QUALITY)
    assert "1 worth a look" in said
    assert "0 of 1 gold units right, below 80% (quality.min_gold)" in said
    assert "gold units" not in (await reader.read(f"{QUALITY}?min_gold=0")).partition("Try these rules")[0].replace(
        "gold units right at least", ""
    )
    for bad in ("min_gold=2", "min_gold=x", "min_seconds=-1", "min_seconds=nan"):
        assert "it must be a number" in await reader.read(f"{QUALITY}?{bad}", status=400)
    with open_as_of(judged) as moment:
        assert {worker.status for worker in moment.db.find_workers()} == {"registered"}


async def test_an_earlier_moment_has_its_own_figures(reader: Visitor, judged: Path) -> None:
    with open_as_of(judged) as moment:
        head = moment.seq
    said = await reader.read(f"{QUALITY}?seq={head // 2}")
    assert f"As of seq {head // 2:,}" in said
    assert " ".join(printed(judged, "--seq", str(head // 2))[2].split()) in said
    assert "There are no answers yet." in await reader.read(f"{QUALITY}?seq=20")
    await reader.read("/runs/9/quality", status=404)


async def test_without_crowd_kit_it_says_what_brings_the_rest(judged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, AGGREGATION, raising=False)
    monkeypatch.setitem(sys.modules, "crowdkit.aggregation", None)
    visitor = Visitor(judged, Access(None), "127.0.0.1")
    said = await visitor.read(QUALITY)
    visitor.log.close()
    assert "pip install 'mephisto-es[quality]'" in said
    assert "majority: 30 items" in said
    assert "dawid_skene" not in said


async def test_texts_of_strangers_stay_texts(tmp_path: Path) -> None:
    nasty = "<script>alert(1)</script> & more than twenty characters"
    path = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(judged_history(9, 1, 1, lambda worker, item: {f"<b>{'n' * 500}": nasty, "c": f"{item} {nasty}"}))
    visitor = Visitor(path, Access(None), "127.0.0.1")
    page = await visitor.get(QUALITY)
    visitor.log.close()
    assert "<script>alert" not in page.text
    assert "n" * 300 not in words_of(page)
