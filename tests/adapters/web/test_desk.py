"""The review desk: one piece of work at a time."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.web.access import Access
from mephisto_es.adapters.web.claims import CLAIM_SECONDS, Claimant, Claims
from mephisto_es.adapters.web.media import MediaKind, Medium, media_file, medium_of
from mephisto_es.events.engagement import SiteWorkStatus
from mephisto_es.events.ids import UnitId
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import RUN, judged_history, picture_history
from ..site_observations import observe_work
from .visitor import Visitor, words_of

DESK = f"/runs/{RUN}/review/desk"
ALL = f"/runs/{RUN}/review/all"


def rows(database: Path, query: str) -> list[tuple[int, ...]]:
    with closing(sqlite3.connect(database)) as db:
        return db.execute(query).fetchall()


def unreviewed(database: Path) -> list[int]:
    """Return the agents whose work is unreviewed, in the order of their units."""
    return [agent for (agent,) in rows(database, "SELECT agent_id FROM units WHERE status = 'completed'")]


def agent_on(page: httpx.Response) -> int:
    """Return the agent whose work a page shows."""
    (agent,) = re.findall(r'data-agent="(\d+)"', page.text)
    return int(agent)


def form_of(page: httpx.Response) -> dict[str, str]:
    """Return the hidden fields of the form for a verdict."""
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text))


@pytest.fixture
def colleague(visitor: Visitor) -> httpx.AsyncClient:
    """Return a second browser on the same server."""
    return httpx.AsyncClient(transport=visitor.client._transport, base_url=visitor.client.base_url)


async def test_a_verdict_leads_to_the_next_work_until_none_is_left(visitor: Visitor, database: Path) -> None:
    agents = unreviewed(database)
    page = await visitor.get(DESK)
    seen = []
    for number in range(len(agents)):
        seen.append(agent_on(page))
        assert f"1 of {len(agents) - number:,}" in words_of(page)
        page = await visitor.post(DESK, {**form_of(page), "verdict": "approved", "note": "fine"})
        assert "The verdict is recorded." in words_of(page)
    assert seen == agents
    assert "There is no unreviewed work here." in words_of(page)
    assert rows(database, "SELECT count(*) FROM unit_review WHERE status = 'approved'") == [(len(agents),)]


async def test_what_a_rejection_does_not_take_back_is_said_before_it(visitor: Visitor, database: Path) -> None:
    assert "Before you reject it" not in words_of(await visitor.get(DESK))
    visitor.log.close()
    observe_work(database, unreviewed(database)[0], SiteWorkStatus.APPROVED)
    assert "Before you reject it: the provider has approved the work already" in words_of(await visitor.get(DESK))


async def test_notes_of_earlier_verdicts_are_offered_again(visitor: Visitor, database: Path) -> None:
    page = await visitor.get(DESK)
    page = await visitor.post(DESK, {**form_of(page), "verdict": "rejected", "note": "copied <from> the example"})
    assert '<option value="copied &lt;from&gt; the example">' in page.text


async def test_work_is_selected_and_ordered(visitor: Visitor, database: Path) -> None:
    (worker, count), *_ = rows(
        database, "SELECT worker_id, count(*) FROM units WHERE status = 'completed' GROUP BY 1 ORDER BY 2 DESC, 1"
    )
    page = await visitor.get(f"{DESK}?worker=worker-{worker}")
    assert f"1 of {count}" in words_of(page)
    assert f"worker-{worker}" in words_of(page)
    ((slowest,),) = rows(
        database,
        "SELECT agent_id FROM agents JOIN units USING (agent_id) WHERE units.status = 'completed'"
        " ORDER BY task_end - task_start DESC, units.unit_id LIMIT 1",
    )
    assert agent_on(await visitor.get(f"{DESK}?order=slowest")) == slowest
    bees = words_of(await visitor.get(f"{DESK}?text=BEES"))
    assert "Bees return to the same clover." in bees
    nothing = await visitor.read(f"{DESK}?text=no+such+words")
    assert "There is no unreviewed work here." in nothing


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("order=sideways", "order is 'sideways'"),
        ("status=launched", "Work that is 'launched' is not reviewed"),
        ("min_seconds=soon", "min_seconds is 'soon', which is not a number of seconds"),
        ("since=tomorrow", "since is 'tomorrow', which is not a day"),
        ("wroker=3", "Did you mean 'worker'?"),
        ("unit=one", "unit is not the number of an entity"),
    ],
)
async def test_a_filter_that_makes_no_sense_is_named(query: str, sentence: str, visitor: Visitor) -> None:
    assert sentence in words_of(await visitor.get(f"{DESK}?{query}", status=400))


async def test_a_worker_is_selected_by_name_too(visitor: Visitor) -> None:
    assert words_of(await visitor.get(f"{DESK}?worker=Zoë+2")).count("worker-2") > 1
    assert "nobody" in words_of(await visitor.get(f"{DESK}?worker=nobody", status=404))


async def test_two_reviewers_never_have_the_same_work(visitor: Visitor, colleague: httpx.AsyncClient) -> None:
    mine = await visitor.get(DESK)
    theirs = await colleague.get(DESK)
    assert agent_on(mine) != agent_on(theirs)
    # Whoever asks for work that another has open is told so, and cannot decide.
    unit = form_of(theirs)["unit"]
    page = await visitor.get(f"{DESK}?unit={unit}")
    assert "Another reviewer has this work open." in words_of(page)
    mine = await visitor.get(DESK)
    forged = {**form_of(mine), "unit": unit, "agent": form_of(theirs)["agent"], "verdict": "approved"}
    refused = await visitor.post(DESK, forged, status=409)
    assert "Nothing was recorded: another reviewer has this work open." in words_of(refused)
    # The next work after a verdict is not theirs either.
    following = await visitor.post(DESK, {**form_of(mine), "next": unit, "verdict": "approved"})
    assert agent_on(following) != agent_on(theirs)


def test_a_claim_expires() -> None:
    now = 0.0
    claims = Claims(lambda: now)
    ann, bob = Claimant("1", "user/ann"), Claimant("2", "user/bob")
    assert claims.claim(ann, UnitId(1))
    assert not claims.claim(bob, UnitId(1), takes_over=True)
    assert claims.first_free(bob, [UnitId(1)]) is None
    now = CLAIM_SECONDS
    assert claims.first_free(bob, [UnitId(1)]) == UnitId(1)
    assert claims.claim(bob, UnitId(1))
    assert claims.claim(bob, UnitId(2))
    assert claims.claim(ann, UnitId(1)), "a reviewer holds one piece of work at a time"


def test_a_named_reviewer_continues_in_another_browser() -> None:
    claims = Claims(lambda: 0.0)
    assert claims.claim(Claimant("1", "user/ann"), UnitId(1))
    assert claims.claim(Claimant("2", "user/ann"), UnitId(1))


async def test_the_last_work_is_taken_over_from_another_window(
    visitor: Visitor, colleague: httpx.AsyncClient, database: Path
) -> None:
    *others, last = unreviewed(database)
    page = await visitor.get(DESK)
    for _ in others:
        page = await visitor.post(DESK, {**form_of(page), "verdict": "approved"})
    unit = form_of(page)["unit"]
    asked = words_of(await colleague.get(f"{DESK}?unit={unit}"))
    assert "free again five minutes after it was last loaded. It may be your own, in another window" in asked
    await colleague.get(DESK)
    refused = await visitor.post(DESK, {**form_of(page), "verdict": "approved"}, status=409)
    assert "another reviewer has this work open. Opened work is free again five minutes" in words_of(refused)
    mine = await visitor.get(DESK)
    assert agent_on(mine) == last
    assert "verdict is recorded" in words_of(await visitor.post(DESK, {**form_of(mine), "verdict": "approved"}))


async def test_a_refused_verdict_keeps_what_was_typed(visitor: Visitor, database: Path) -> None:
    page = await visitor.get(DESK)
    form = {**form_of(page), "verdict": "rejected", "bonus": "1", "note": "for the next try"}
    refused = await visitor.post(DESK, form, status=409)
    assert "does not go with work that is rejected" in words_of(refused)
    assert 'value="for the next try"' in refused.text
    assert agent_on(refused) == agent_on(page)
    assert rows(database, "SELECT count(*) FROM unit_review WHERE status = 'rejected'") == [(0,)]


async def test_all_that_match_are_approved_at_once(visitor: Visitor, database: Path) -> None:
    (worker, count), *_ = rows(
        database, "SELECT worker_id, count(*) FROM units WHERE status = 'completed' GROUP BY 1 ORDER BY 2 DESC, 1"
    )
    left = len(unreviewed(database)) - count
    page = await visitor.get(f"{ALL}?worker={worker}")
    assert f"Approve {count} pieces of work?" in words_of(page)
    done = await visitor.post(f"{ALL}?worker={worker}", form_of(page))
    assert f"{count} verdicts are recorded." in words_of(done)
    assert len(unreviewed(database)) == left


async def test_more_than_was_shown_is_never_approved(visitor: Visitor, database: Path) -> None:
    page = await visitor.get(f"{ALL}?text=ferry")
    agents = unreviewed(database)
    await visitor.post(ALL, {**form_of(page)}, status=409)
    assert unreviewed(database) == agents


@pytest.fixture
def pictures(tmp_path: Path) -> Iterator[Visitor]:
    """Return a visitor to a run with pictures, each labelled by two workers."""
    folder = tmp_path / "pictures" / "img"
    folder.mkdir(parents=True)
    (folder / "0.svg").write_text("<svg/>")
    database = tmp_path / "pictures.db"
    with SqliteLog.create_or_open(database, PROJECTIONS) as log:
        log.commit(picture_history(str(folder.parent), 3))
    visitor = Visitor(database, Access(None), "127.0.0.1")
    yield visitor
    visitor.log.close()


async def test_the_picture_and_the_other_answer_are_shown(pictures: Visitor) -> None:
    page = await pictures.get(DESK)
    assert f'<img class="medium" src="/runs/{RUN}/media/img/0.svg" alt="picture">' in page.text
    said = words_of(page)
    assert "What is in the picture? dog" in said
    assert "Others on the same item agent-2 · worker-2 Zoë 2 · completed What is in the picture? (differs) cat" in said
    assert "img-src 'self' https: http:" in page.headers["content-security-policy"]
    picture = await pictures.get(f"/runs/{RUN}/media/img/0.svg")
    assert picture.text == "<svg/>"
    assert "default-src 'none'" in picture.headers["content-security-policy"]


async def test_ids_that_the_page_filled_in_do_not_differ(tmp_path: Path) -> None:
    def answer(worker: int, item: int) -> dict[str, object]:
        return {"label": ("dog", "cat")[worker - 1], "agent": f"token {2 * (item - 1) + worker}"}

    with SqliteLog.create_or_open(tmp_path / "ids.db", PROJECTIONS) as log:
        log.commit(judged_history(2, 2, 2, answer))
    visitor = Visitor(tmp_path / "ids.db", Access(None), "127.0.0.1")
    said = words_of(await visitor.get(DESK))
    visitor.log.close()
    assert "label (differs)" in said
    assert "agent (differs)" not in said


# Media


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("img/000 a.png", Medium(MediaKind.IMAGE, f"/runs/{RUN}/media/img/000%20a.png")),
        ("https://lab.example.org/a.MP3?v=1", Medium(MediaKind.AUDIO, "https://lab.example.org/a.MP3?v=1")),
        ("clip.webm", Medium(MediaKind.VIDEO, f"/runs/{RUN}/media/clip.webm")),
        ("javascript:alert(1)//.png", None),
        ("//evil.example.org/a.png", None),
        ("data:image/png;base64,AAAA.png", None),
        ("http://[broken/a.png", None),
        ("a sentence.", None),
        (17, None),
    ],
)
def test_media_are_recognized(value: object, expected: Medium | None) -> None:
    assert medium_of(value, RUN) == expected


def test_only_media_of_the_folder_are_sent(tmp_path: Path) -> None:
    folder = tmp_path / "media"
    (folder / "img").mkdir(parents=True)
    (folder / "img" / "a.png").write_bytes(b"png")
    (folder / "notes.txt").write_text("no medium")
    (tmp_path / "secret.png").write_bytes(b"secret")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    config = json.dumps({"blueprint": {"media_dir": str(folder)}})
    assert media_file(config, "img/a.png") == folder / "img" / "a.png"
    for path in ("../secret.png", "link.png", "/secret.png", str(tmp_path / "secret.png"), "notes.txt", "img", "b.png"):
        assert media_file(config, path) is None
    assert media_file("{}", "img/a.png") is None


async def test_a_run_without_media_has_none(visitor: Visitor) -> None:
    said = words_of(await visitor.get(f"/runs/{RUN}/media/a.png", status=404))
    assert "The media folder of this run has no such file" in said


async def test_the_desk_is_behind_the_login(stranger: Visitor) -> None:
    for address in (DESK, ALL, f"/runs/{RUN}/media/a.png"):
        assert "Log in" in await stranger.read(address)
