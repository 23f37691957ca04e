"""The pages of `mephisto-es serve` in a real browser: now and then, review; by keyboard, in the dark, on a phone."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import trio

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.composition.operator import open_operator
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.docs.generated import gallery
from mephisto_es.projections.registry import PROJECTIONS

from ..adapters.web.process import served
from ..core.operations.operator_harness import HarnessTaskState, ask, config, items
from ..sample_log import DONE, RUN, picture_history, sample_history
from .browser import Browser, BrowserProcess, Page, open_browser

PHONE = {"viewport": {"width": 360, "height": 800}, "isMobile": True, "hasTouch": True}
DESK = {"viewport": {"width": 1280, "height": 900}}
#: axe is put into the page as a script, which the pages' own policy forbids.
AUDITED = {"bypassCSP": True}
PAGES = {
    "runs": "/",
    "run": f"/runs/{RUN}",
    "past": f"/runs/{RUN}?seq=200",
    "units": f"/runs/{RUN}/units?status=completed",
    "workers": f"/runs/{RUN}/workers",
    "timeline": "/timeline/worker-5",
    "decisions": "/explain/worker-5",
    "worker": "/workers/5",
    "worker-work": "/workers/5/work",
    "tasks": "/tasks",
    "qualifications": "/qualifications",
    "settings": f"/runs/{RUN}/settings",
    "quality": f"/runs/{RUN}/quality?min_seconds=90",
    "adjudicate": f"/runs/{RUN}/adjudicate?assignment=1",
    "money": f"/runs/{RUN}/money",
    "files": f"/runs/{RUN}/files",
    "objections": f"/runs/{RUN}/appeals",
    "review": f"/runs/{RUN}/review",
    "desk": f"/runs/{RUN}/review/desk",
    "approve-all": f"/runs/{RUN}/review/all",
    "find": "/find?id=3",
    "refused": "/runs/99",
}
#: Pages with colors of their own, which have to be told apart in the dark as well.
IN_THE_DARK = ("past", "decisions", "quality", "money", "desk")

#: Pictures that the gallery of the documentation shows.
GALLERY = {picture.path.name for picture in gallery.PICTURES}

#: Pictures that are reviewed, each with two answers; `make desk` reviews more.
PICTURES = int(os.environ.get("REVIEWED_PICTURES", "10"))

#: Whether a plot has a place in the color of each entry of its legend that is not zero.
PAINTED = """(number) => {
  const figure = document.querySelectorAll("figure.plot")[number];
  const canvas = figure.querySelector("canvas");
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const colors = new Set();
  for (let at = 0; at < pixels.length; at += 4) colors.add(`rgb(${pixels[at]}, ${pixels[at + 1]}, ${pixels[at + 2]})`);
  const entries = [...figure.querySelectorAll(".legend li")];
  return entries.filter((entry) => !/ 0(.00)?$/.test(entry.textContent.trim()))
    .every((entry) => colors.has(getComputedStyle(entry.querySelector(".dot")).backgroundColor));
}"""

Open = Callable[[], AbstractAsyncContextManager[Browser]]


@pytest.fixture
def browser(browser_process: BrowserProcess, artefacts: Path) -> Open:
    return lambda: open_browser(browser_process, artefacts)


async def keep_for_gallery(page: Page, name: str) -> None:
    """Keep a screenshot if the gallery shows it; nobody looks at the others."""
    if f"{name}-{page.name}.png" in GALLERY:
        await page.picture(name)


async def wait_until_done(page: Page, units: int) -> None:
    """Waits until the page says how many units are done."""
    await page.call("waitForSelector", f".tiles .card:nth-child(2) .big:text-matches('^{units} of')")


async def wait_for_state(page: Page, words: str) -> None:
    await page.call("waitForSelector", f"#state:text-is('{words}')")


async def drag(page: Page, selector: str, start: float, end: float) -> None:
    """Drag over a part of an element, from left to right."""
    width = await page.call("evaluate", f"document.querySelector('{selector}').clientWidth")
    assert isinstance(width, int)
    source, target = ({"x": width * part, "y": 20} for part in (start, end))
    await page.call("dragAndDrop", selector, selector, {"sourcePosition": source, "targetPosition": target})


async def zoomed(page: Page) -> bool:
    return await page.call("evaluate", "document.getElementById('plots').dataset.zoomed") == "yes"


async def look_at_plots(page: Page) -> None:
    """Point at a plot that is zoomed, and show everything again; then the same with the overview and the buttons."""
    await page.call("hover", "figure.plot:nth-of-type(3) .u-over")
    for number in range(1, 5):
        assert " UTC" in await page.text(f"figure.plot:nth-of-type({number}) .when"), "all show the same time"
    assert await page.text("figure.plot:nth-of-type(3) .legend b") in ("0", "1")
    for number in range(4):
        assert await page.call("evaluate", f"({PAINTED})({number})"), f"plot {number} is empty"
    await page.call("hover", "h1")
    assert await page.text("figure.plot:nth-of-type(3) .when") == ""
    await page.call("dblclick", "figure.plot:nth-of-type(2) .u-over")
    assert not await zoomed(page)
    await drag(page, ".overview .u-over", 0.5, 0.7)
    assert await zoomed(page)
    await page.press("Everything")
    assert not await zoomed(page)
    await page.press("Closer")
    await page.press("Later")
    await page.picture("1-zoomed")
    await page.call("dblclick", ".overview .u-over")
    assert not await zoomed(page)
    await page.call("click", "summary:text-is('The same as a table')")
    await page.see("including units on offer")
    assert await page.barriers() == []


async def use_a_phone(phone: Page) -> None:
    """Tap on a plot, and go to the next moment without motion."""
    await phone.call("tap", "figure.plot:nth-of-type(1) .u-over")
    await phone.call("waitForSelector", "figure.plot:nth-of-type(1) .when:has-text('UTC')")
    bottom = "document.querySelector('.drawing canvas').getBoundingClientRect().bottom"
    assert await phone.call("evaluate", f"{bottom} <= document.querySelector('.legend').getBoundingClientRect().top")
    await phone.picture("past-tapped")
    await phone.press("Next moment")
    await phone.call("waitForFunction", "document.getElementById('seq').value === document.getElementById('seq').max")
    await wait_until_done(phone, DONE)


async def test_everybody_can_use_every_page(browser: Open, tmp_path: Path) -> None:
    database = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(database, PROJECTIONS) as log:
        log.commit(sample_history())
    async with served(database) as (_, address), browser() as chromium:
        desk = await chromium.open("desk", **DESK, **AUDITED)
        phone = await chromium.open("phone", **PHONE, reducedMotion="reduce", timezoneId="Asia/Kolkata")
        for name, path in PAGES.items():
            await desk.call("emulateMedia", {"colorScheme": "light"})
            await desk.visit(address + path)
            await keep_for_gallery(desk, name)
            assert await desk.barriers() == [], name
            await desk.call("emulateMedia", {"colorScheme": "dark"})
            await keep_for_gallery(desk, f"{name}-dark")
            assert name not in IN_THE_DARK or await desk.barriers() == [], f"{name}, dark"
            # A phone gets the same page in the same colours.
            await phone.visit(address + path)
            await keep_for_gallery(phone, name)
            # Whatever is wider makes a phone show all of it smaller, and the window wider: only the screen stays.
            for page in (desk, phone):
                too_wide = await page.call("evaluate", "document.documentElement.scrollWidth > screen.width")
                assert not too_wide, f"{name}, {page.name}"
            beside = "[...document.querySelectorAll('.table')].some((table) => table.scrollWidth > table.clientWidth)"
            assert not await phone.call("evaluate", beside), f"{name} is to be moved sideways"
            if name == "past":
                await use_a_phone(phone)
    assert [picture.source for picture in gallery.PICTURES if not picture.path.exists()] == []


async def test_a_run_now_and_then(browser: Open, tmp_path: Path) -> None:
    database = tmp_path / "mephisto.db"
    *earlier, last = sample_history()
    with SqliteLog.create_or_open(database, PROJECTIONS) as log:
        log.commit(earlier[:-6])
        async with served(database) as (_, address), browser() as chromium:
            page = await chromium.open("ann", **DESK, **AUDITED, timezoneId="Asia/Kolkata")
            await page.visit(f"{address}/runs/{RUN}")
            await wait_for_state(page, "up to date")
            await wait_until_done(page, DONE - 3)
            await page.call("hover", "figure.plot:nth-of-type(2) .u-over")
            await drag(page, "figure.plot:nth-of-type(1) .u-over", 0.25, 0.75)
            await page.call("waitForSelector", "#plots[data-zoomed=yes]")
            log.commit([*earlier[-6:], last])
            await wait_until_done(page, DONE)
            assert await zoomed(page), "news do not end a zoom"
            await page.picture("1-live")
            await look_at_plots(page)

            # The slider by keyboard: to the very beginning, and a step on.
            await page.call("focus", "#seq")
            await page.type_key("Home")
            await wait_until_done(page, 0)
            await wait_for_state(page, "past")
            await page.see("seq 3 ·")
            await page.type_key("ArrowRight")
            await page.see("seq 4 ·")
            assert await page.call("evaluate", "location.search") == "?seq=4"
            await page.picture("2-past")

            # Played from here: the space bar stops it, and starts it again. It ends at the end.
            await page.call("press", "#seq", "Space")
            await page.call("waitForFunction", "Number(document.getElementById('seq').value) > 6")
            await page.call("press", "#seq", "Space")
            await page.call("waitForSelector", "#play:text-is('Play')")
            await page.call("press", "#seq", "End")
            for _ in range(3):
                await page.type_key("ArrowLeft")
            await page.press("Play")
            await page.call(
                "waitForFunction", "document.getElementById('seq').value === document.getElementById('seq').max"
            )
            await page.call("waitForSelector", "#play:text-is('Play')")
            await wait_until_done(page, DONE)

            await page.call("focus", "#now")
            await page.type_key("Enter")
            await wait_until_done(page, DONE)
            await wait_for_state(page, "up to date")
            assert await page.call("evaluate", "location.search") == ""


async def test_review_by_keyboard(browser: Open, tmp_path: Path) -> None:
    database = tmp_path / "mephisto.db"
    other = SqliteLog.create_or_open(database, PROJECTIONS)
    other.commit(sample_history())

    async def end_the_other() -> None:
        await trio.sleep(1)
        other.close()

    async with served(database) as (_, address), browser() as chromium, trio.open_nursery() as nursery:
        page = await chromium.open("ann", **DESK)
        await page.visit(f"{address}/runs/{RUN}/review")
        await page.call("focus", ".work:nth-of-type(1) input[type=radio]")
        await page.type_key("a")
        await page.call("focus", ".work:nth-of-type(2) input[type=radio]")
        await page.type_key("r")
        await page.call("fill", ".work:nth-of-type(2) input[name^=note]", "copied")
        await page.see("2 chosen")
        # The verdicts wait for the program that has the log open.
        nursery.start_soon(end_the_other)
        await page.press("Record the verdicts")
        await page.see("2 verdicts are recorded.")
        await page.picture("1-recorded")
    with SqliteLog.open_read_only(database).connect() as view:
        statuses = view.execute("SELECT status FROM agents WHERE agent_id <= 2 ORDER BY agent_id").fetchall()
    assert statuses == [("approved",), ("rejected",)]


async def test_pictures_are_reviewed_by_keyboard_alone(browser: Open, tmp_path: Path) -> None:
    folder = tmp_path / "pictures" / "img"
    folder.mkdir(parents=True)
    for number in range(PICTURES):
        picture = '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><rect width="64" height="64"/></svg>'
        (folder / f"{number}.svg").write_text(picture)
    database = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(database, PROJECTIONS) as log:
        log.commit(picture_history(str(folder.parent), PICTURES))
    async with served(database) as (_, address), browser() as chromium:
        page = await chromium.open("ann", **DESK)
        await page.visit(f"{address}/runs/{RUN}/review/desk")
        # A rejection needs a note: the second one gets one.
        keys = "sra" + "sa" * PICTURES
        for agent in range(1, 2 * PICTURES + 1):
            await page.call("waitForSelector", f"article[data-agent='{agent}']")
            await page.call("waitForLoadState", "load")
            assert await page.call("evaluate", "document.querySelector('.medium').naturalWidth") == 64
            if agent == 2:
                await page.call("press", "body", "n")
                await page.type_key("x")
                await page.type_key("Escape")
                await page.call("press", "body", "?")
                await page.see("leave a field")
                await page.picture("1-a-picture")
            await page.call("press", "body", keys[agent - 1])
            if agent == 3:
                # The last verdict was a mistake: it is taken back, and given again.
                await page.see("Undo the verdict on agent-3")
                await page.call("waitForLoadState", "load")
                await page.call("press", "body", "u")
                await page.see("The verdict is taken back.")
                await page.picture("2-undone")
                await page.call("waitForSelector", "article[data-agent='3']")
                await page.call("waitForLoadState", "load")
                await page.call("press", "body", keys[agent - 1])
        await page.see("There is no unreviewed work here.")
    with SqliteLog.open_read_only(database).connect() as view:
        given = view.execute("SELECT status, review_note FROM unit_review ORDER BY id").fetchall()
    statuses = {"a": "approved", "s": "soft_rejected", "r": "rejected"}
    assert given == [(statuses[key], "x" if key == "r" else None) for key in keys[: 2 * PICTURES]]


async def test_a_review_while_people_work(browser: Open, tmp_path: Path) -> None:
    MemoryArchitect.routers.clear()
    folder = tmp_path / "data"
    async with open_operator(folder) as operator:
        await operator.launch_task_run_or_die(config(), HarnessTaskState(data=items(8)))
        router, state = MemoryArchitect.routers[RUN], operator.ledger.state
        for worker in ("ann", "bob"):
            router.submit_task((await ask(router, worker))["agent_id"], {"answer": worker})
        at_work = (await ask(router, "cem"))["agent_id"]
        async with served(folder / DATABASE_FILE) as (_, address), browser() as chromium:
            page = await chromium.open("reviewer", **DESK)
            await page.visit(f"{address}/runs/{RUN}")
            await wait_for_state(page, "up to date")
            await page.picture("1-a-live-run")
            await page.visit(f"{address}/runs/{RUN}/review")
            await page.call("focus", ".work:nth-of-type(1) input[type=radio]")
            await page.type_key("a")
            await page.call("focus", ".work:nth-of-type(2) input[type=radio]")
            await page.type_key("r")
            await page.call("fill", ".work:nth-of-type(2) input[name^=note]", "copied")
            await page.picture("2-verdicts-chosen")
            await page.press("Record the verdicts")
            await page.see("2 verdicts are recorded.")
            await page.picture("3-recorded-by-the-operator")
            # The operator gave the verdicts, and people go on.
            agents = {agent.token: agent.status.value for agent in state.agents.values()}
            assert sorted(agents.values()) == ["approved", "in task", "rejected"]
            assert router.statuses[at_work] == agents[at_work] == "in task"
            await page.visit(f"{address}/workers/3")
            await page.call("fill", "input[name=reason]", "answers at random")
            await page.press("Block this worker")
            await page.see("worker-3 is blocked")
            await page.picture("4-blocked-at-work")
            router.submit_task(at_work, {"answer": "cem"})
        await operator.force_shutdown()


async def test_deciding_about_a_worker_by_keyboard(browser: Open, tmp_path: Path) -> None:
    database = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(database, PROJECTIONS) as log:
        log.commit(sample_history())
    async with served(database) as (_, address), browser() as chromium:
        page = await chromium.open("ann", **DESK)
        await page.visit(f"{address}/runs/{RUN}/workers")
        await page.call("focus", "a[href='/workers/5']")
        await page.type_key("Enter")
        await page.call("waitForSelector", "input[name=reason]")
        await page.call("focus", "input[name=reason]")
        await page.call("fill", "input[name=reason]", "answers at random")
        await page.type_key("Tab")
        await page.type_key("Enter")
        await page.see("worker-5 is blocked")
        await page.picture("1-blocked")
        await page.call("fill", "input[list=known]", "careful")
        await page.call("focus", "input[list=known]")
        await page.type_key("Tab")
        await page.type_key("ArrowUp")
        await page.type_key("Tab")
        await page.type_key("Enter")
        await page.see("The qualification is granted.")
        await page.picture("2-granted")
    with SqliteLog.open_read_only(database).connect() as view:
        assert view.execute("SELECT status FROM workers WHERE worker_id = 5").fetchone() == ("blocked",)
        assert view.execute("SELECT value FROM granted_qualifications WHERE worker_id = 5").fetchone() == (2,)
