"""The task's own page on the review desk in a real browser: three kinds of pages, and what they must not do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.projections.registry import PROJECTIONS

from ..adapters.web.process import served
from ..sample_log import RUN, one_piece_of_work
from .browser import Browser, BrowserProcess, Page, open_browser

Open = Callable[[], AbstractAsyncContextManager[Browser]]

FRAME = "#task-page >> internal:control=enter-frame >> "
DESK = {"viewport": {"width": 1280, "height": 900}}
#: Would tell another server, or the page around the frame, if it ran.
ATTACK = "<img src=x onerror=\"document.title='attacked'\"><script>document.title = 'attacked'</script>"
PICTURE = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><rect width="64" height="64" fill="teal"/></svg>'
)
HTML = """<!doctype html><title>Birds</title><style>h2 { color: teal }</style>
<h2>${heading}</h2><div>${story}</div><img id="bird" src="/media/bird.svg" alt="a bird">
<label>Name <input name="name"></label>
<label><input type="radio" name="seen" value="yes"> yes</label>
<label><input type="radio" name="seen" value="no"> no</label>
<p id="ran"></p><button>Submit</button>
<script>
const ran = document.getElementById("ran");
ran.textContent = "the script of the file ran";
fetch("https://example.org/").catch(() => (ran.textContent += ", and reached nobody"));
</script>
"""
#: As a bundle of Mephisto's examples does it, without React.
BUNDLE = """
window.onmessage = function (e) {
  const {inputs, outputs} = JSON.parse(e.data)["REVIEW_DATA"];
  document.getElementById("app").innerHTML = "<p id='shown'></p>" + outputs.answer;
  document.getElementById("shown").textContent = inputs.question + " " + eval("1 + 1");
  window.top.postMessage(JSON.stringify({IFRAME_DATA: {height: 333}}), "*");
};
"""


@pytest.fixture
def browser(browser_process: BrowserProcess, artefacts: Path) -> Open:
    return lambda: open_browser(browser_process, artefacts)


async def desk_of(page: Page, address: str) -> None:
    """Go to the desk, and wait until the task's page is in the frame."""
    await page.visit(f"{address}/runs/{RUN}/review/desk")
    await page.call("waitForSelector", "#task-page[data-shown]")
    assert await page.call("evaluate", "document.getElementById('raw').open") is False


async def no_attack(page: Page) -> None:
    assert "attacked" not in str(await page.call("title"))
    assert "attacked" not in str(await page.call("innerHTML", FRAME + "head"))


async def test_the_stock_page_has_the_answer_in_it(browser: Open, tmp_path: Path) -> None:
    (tmp_path / "bird.svg").write_text(PICTURE)
    form = [
        {"name": "label", "type": "text", "label": "What is it?"},
        {"name": "rating", "type": "scale", "label": "How sure are you?", "min": 1, "max": 5},
        {"name": "why", "type": "choice", "label": "Why?", "options": ["feathers", "size"]},
    ]
    show = ["note", {"name": "picture", "label": "A picture", "as": "image"}]
    blueprint = {"form": form, "show": show, "media_dir": str(tmp_path), "instructions": "Look at {{note}}."}
    answer = {"label": ATTACK, "rating": 4, "why": "size"}
    database = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(database, PROJECTIONS) as log:
        log.commit(one_piece_of_work(blueprint, {"picture": "bird.svg", "note": ATTACK}, answer))
    async with served(database) as (_, address), browser() as chromium:
        page = await chromium.open("desk", **DESK)
        for width in (1280, 375):
            await page.call("setViewportSize", {"width": width, "height": 800})
            await desk_of(page, address)
            assert await page.call("inputValue", f"{FRAME}#field-label") == ATTACK
            assert await page.call("isEditable", f"{FRAME}#field-label") is False
            assert await page.call("isChecked", f"{FRAME}#field-why-1") is True
            assert await page.call("isDisabled", f"{FRAME}#field-why-0") is True
            await page.call("waitForSelector", f"{FRAME}img")
            await no_attack(page)
            await page.picture(f"1-stock-{width}")
            assert not await page.call("evaluate", "document.documentElement.scrollWidth > innerWidth")


async def test_html_files_are_filled_in_and_send_nothing(browser: Open, tmp_path: Path) -> None:
    (tmp_path / "bird.svg").write_text(PICTURE)
    (tmp_path / "task.html").write_text(HTML)
    blueprint = {"task_source": str(tmp_path / "task.html"), "html_fields": ["story"], "media_dir": str(tmp_path)}
    item = {"heading": "A <b>bird</b>", "story": f"<em>Once</em> {ATTACK}"}
    database = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(database, PROJECTIONS) as log:
        log.commit(one_piece_of_work(blueprint, item, {"name": ATTACK, "seen": "no"}))
    async with served(database) as (_, address), browser() as chromium:
        page = await chromium.open("desk", **DESK)
        await desk_of(page, address)
        await page.call("waitForSelector", f"{FRAME}#ran:text('the script of the file ran, and reached nobody')")
        assert await page.text(f"{FRAME}h2") == "A <b>bird</b>"
        assert await page.text(f"{FRAME}em") == "Once"
        assert await page.call("inputValue", f"{FRAME}[name=name]") == ATTACK
        assert await page.call("isChecked", f"{FRAME}[value=no]") is True
        assert await page.call("isDisabled", f"{FRAME}button") is True
        assert await page.call("getAttribute", f"{FRAME}#bird", "src") != "/media/bird.svg"
        await no_attack(page)
        await page.picture("2-html")


async def test_bundles_for_mephisto_get_what_its_review_app_sends(browser: Open, tmp_path: Path) -> None:
    (tmp_path / "review.js").write_text(BUNDLE)
    blueprint = {"task_source": "bundle.js", "task_source_review": str(tmp_path / "review.js")}
    database = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(database, PROJECTIONS) as log:
        log.commit(one_piece_of_work(blueprint, {"question": "How many?"}, {"answer": ATTACK}))
    async with served(database) as (_, address), browser() as chromium:
        page = await chromium.open("desk", **DESK)
        await desk_of(page, address)
        assert await page.text(f"{FRAME}#shown") == "How many? 2"
        assert await page.call("evaluate", "document.getElementById('task-page').style.height") == "333px"
        await no_attack(page)
        await page.picture("3-bundle")
