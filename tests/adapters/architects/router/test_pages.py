"""Loading a page: the files, the task's configuration, what is cached."""

import os
from pathlib import Path

import pytest
import trio

from .conftest import PAGE, MakeHarness, MakeRouter
from .harness import PATIENCE_SECONDS, OperatorLink, RouterHarness, error_of


@pytest.mark.parametrize("query", ["", "?worker_id=W&assignment_id=A", "?worker_id=%C3%A4&anything=else", "?&&="])
async def test_the_page_is_the_same_whatever_the_query_is(harness: RouterHarness, query: str) -> None:
    answer = await harness.http.get("/" + query)

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "set-cookie" not in answer.headers
    assert answer.content == PAGE["index.html"]


async def test_loading_a_preview_asks_the_operator_for_nothing(harness: RouterHarness, operator: OperatorLink) -> None:
    for path in ("/", "/wrap_crowd_source.js", "/bundle.js", "/task_config.json?mephisto_task_version=2.0.3"):
        assert (await harness.http.get(path)).status_code == 200

    await operator.settled()
    assert {packet.packet_type for packet in operator.inbox.received} == {"return_statuses"}


@pytest.mark.parametrize("name", ["wrap_crowd_source.js", "bundle.js"])
async def test_scripts_are_javascript(harness: RouterHarness, name: str) -> None:
    answer = await harness.http.get("/" + name)

    assert answer.status_code == 200
    assert "javascript" in answer.headers["content-type"]
    assert answer.content == PAGE[name]


@pytest.mark.parametrize("path", ["/", "/bundle.js", "/notif.mp3", "/task_config.json?mephisto_task_version=2.0.3"])
async def test_a_reload_fetches_nothing_again(harness: RouterHarness, path: str) -> None:
    first = await harness.http.get(path)
    assert first.headers["cache-control"] == "public, max-age=0"

    again = await harness.http.get(
        path,
        headers={
            "If-None-Match": first.headers["etag"],
            "If-Modified-Since": first.headers["last-modified"],
        },
    )

    assert again.status_code == 304
    assert again.content == b""
    changed = await harness.http.get(path, headers={"If-None-Match": '"something else"'})
    assert changed.status_code == 200
    assert changed.content == first.content


async def test_a_sound_is_fetched_by_range(harness: RouterHarness) -> None:
    whole = await harness.http.get("/notif.mp3", headers={"Range": "bytes=0-"})
    part = await harness.http.get("/notif.mp3", headers={"Range": "bytes=256-511"})

    size = len(PAGE["notif.mp3"])
    assert whole.status_code == part.status_code == 206
    assert whole.headers["content-range"] == f"bytes 0-{size - 1}/{size}"
    assert whole.content == PAGE["notif.mp3"]
    assert part.content == bytes(range(256))


@pytest.mark.parametrize(
    "path",
    ["/favicon.ico", "/nothing.js", "/submit_task", "/request_agent", "/download_file", "/bundle.js/deeper"],
)
async def test_what_is_not_there_is_404_in_json(harness: RouterHarness, path: str) -> None:
    answer = await harness.http.get(path)

    assert answer.status_code == 404
    error_of(answer)


@pytest.mark.parametrize("version", ["2.0.3", "2.0.4"])
async def test_the_version_of_a_supported_client_is_repeated(
    harness: RouterHarness, operator: OperatorLink, version: str
) -> None:
    answer = await harness.http.get("/task_config.json", params={"mephisto_task_version": version})

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json() == {
        "task_description": "rate it",
        "block_mobile": True,
        "frame_height": 650,
        "mephisto_task_version": version,
    }
    await operator.settled()
    assert not operator.inbox.of_type("router_report")


@pytest.mark.parametrize("version", ["1.9.0", "<script>", None])
async def test_another_version_is_reported_to_the_operator(
    harness: RouterHarness, operator: OperatorLink, version: str | None
) -> None:
    params = {} if version is None else {"mephisto_task_version": version}
    answer = await harness.http.get("/task_config.json", params=params)

    assert answer.json()["mephisto_task_version"] in ("2.0.3", "2.0.4")
    report = await operator.expect("router_report")
    assert report.subject_id == "mephisto"
    assert report.data == {"what": "version_mismatch", "version": version}


async def test_a_changed_configuration_is_served_at_once(
    make_router: MakeRouter, make_harness: MakeHarness, tmp_path: Path
) -> None:
    config = tmp_path / "page" / "task_config.json"
    config.parent.mkdir()
    config.write_text('{"task_title": "before"}')
    router = make_router(static=config.parent)
    router.start()
    harness = make_harness(router)
    before = await harness.http.get("/task_config.json?mephisto_task_version=2.0.4")

    changed = config.with_suffix(".new")
    changed.write_text('{"task_title": "after it"}')
    os.replace(changed, config)
    after = await harness.http.get(
        "/task_config.json?mephisto_task_version=2.0.4", headers={"If-None-Match": before.headers["etag"]}
    )

    assert before.json()["task_title"] == "before"
    assert after.status_code == 200
    assert after.json()["task_title"] == "after it"


async def test_a_page_of_many_visitors_at_once(harness: RouterHarness) -> None:
    async def visit() -> None:
        answers.append(await harness.http.get("/bundle.js"))

    answers: list[object] = []
    with trio.fail_after(PATIENCE_SECONDS):
        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(visit)

    assert len(answers) == 50
