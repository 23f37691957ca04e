"""The fields of the stock page in a real browser; the router makes no difference to them, so one is enough."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

import pytest

from mephisto_es.projections.queries.quality.process_signals import PROCESS_SIGNALS, read_signals

from .browser import Page
from .browser_harness import CLIENT, MOCK_PROVIDER, STOCK_PAGE, BrowserHarness, BrowserSession, one_router
from .scripts import Data, StaticScript

pytestmark = one_router

PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
SILENCE = "data:audio/wav;base64,UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA="
PHONE = {"width": 375, "height": 812}
SUMMARIES: Data = {"text": "A long text.", "s1": "The first summary.", "s2": "Another one.", "s3": "A third."}


def form_page(
    harness: BrowserHarness, form: list[Data], item: Mapping[str, object] = SUMMARIES, **frontend: object
) -> AbstractAsyncContextManager[BrowserSession]:
    config = {"task_title": "A form", "frontend": {"form": form, "show": [], **frontend}}
    return harness.session([STOCK_PAGE, CLIENT, MOCK_PROVIDER], config, StaticScript([dict(item)]))


async def answers_of(session: BrowserSession, page: Page) -> Data:
    """Press the button, and give the answers that arrive."""
    await page.press("Submit")
    await page.see("Submitted. Thank you!")
    [submission] = await session.operator.packets("submit_unit")
    answers = submission.data["final_data"]
    assert isinstance(answers, dict)
    return answers


async def test_measures_are_answered_and_say_what_is_missing(harness: BrowserHarness) -> None:
    form: list[Data] = [
        {
            "name": "good",
            "type": "scale",
            "min": 0,
            "max": 10,
            "min_label": "bad",
            "max_label": "good",
            "required": True,
        },
        {"name": "sure", "type": "slider", "label": "How sure?", "min": 0, "max": 1, "step": 0.25, "required": True},
        {"name": "tags", "type": "multi_choice", "options": ["news", "sport", "verse"], "max_choices": 2},
        {
            "name": "grid",
            "type": "matrix",
            "rows": [{"value": "clear", "label": "It is clear"}, "true"],
            "options": ["no", "partly", "yes"],
            "required": True,
        },
        {
            "name": "rubric",
            "type": "rubric",
            "criteria": [
                {"name": "style", "levels": [{"value": 0, "label": "Poor", "description": "Hard to read"}, 1]},
                {"name": "facts", "label": "Facts of {{text}}", "levels": ["wrong", "right"]},
            ],
        },
    ]
    async with form_page(harness, form) as session:
        page = await session.visitor("ann")
        await page.see("Facts of A long text.")
        await page.see("not set yet")
        await page.press("Submit")
        await page.see("Please check the highlighted questions.")
        for field in ("good", "sure", "grid"):
            await page.call("waitForSelector", f"#field-{field}-problem:has-text('Please answer this question.')")
        assert await page.text("#field-tags-problem") == ""
        assert await page.barriers() == []
        await page.picture("1-missing")

        await page.call("check", 'role=radio[name="10"]')
        await page.call("press", "#field-sure", "ArrowRight")
        for tag in ("news", "sport", "verse"):
            await page.call("check", f'role=checkbox[name="{tag}"]')
        await page.call("check", "#field-grid-row0-2")
        await page.press("Submit")
        await page.see("Please choose fewer.")
        await page.see("Please complete this answer.")
        await page.call("uncheck", 'role=checkbox[name="sport"]')
        await page.call("check", "#field-grid-row1-0")
        await page.call("check", "#field-rubric-row0-0")
        assert await page.barriers() == []
        await page.picture("2-answered")
        assert await answers_of(session, page) == {
            "good": 10,
            "sure": 0.75,
            "tags": ["news", "verse"],
            "grid": {"clear": "yes", "true": "no"},
            "rubric": {"style": 0, "facts": None},
        }


async def test_comparisons_are_presented_at_random_and_say_in_which_order(harness: BrowserHarness) -> None:
    form: list[Data] = [
        {"name": "better", "type": "pairwise", "items": ["s1", "s2"], "tie": "Both are equally good", "required": True},
        {"name": "ends", "type": "best_worst", "items": ["s1", "s2", "s3"], "required": True},
        {"name": "order", "type": "ranking", "items": ["s1", "s2", "s3"], "required": True},
    ]
    async with form_page(harness, form) as session:
        page = await session.visitor("ann")
        await page.see("The first summary.")
        assert await page.barriers() == []
        first = await page.text("#field-better-content0")
        await page.call("check", "#field-better-0")
        await page.call("check", "#field-ends-best-1")
        await page.call("check", "#field-ends-worst-1")
        for position in (2, 0):
            await page.call("click", f"button[aria-describedby=field-order-content{position}]")
        await page.press("Submit")
        await page.see("Please choose two different ones.")
        await page.see("Please complete this answer.")
        await page.picture("1-incomplete")
        await page.call("check", "#field-ends-worst-0")
        await page.call("click", "button[aria-describedby=field-order-content1]")
        await page.see("3 of 3 ranked")

        await page.call("waitForTimeout", 500)
        await page.call("reload")
        await page.see("Your answers were restored.")
        assert await page.text("#field-better-content0") == first, "the order is the same after a reload"
        assert await page.barriers() == []
        answers = await answers_of(session, page)
        order = answers.pop("presented_order")
        assert isinstance(order, dict)
        assert {name: sorted(presented) for name, presented in order.items()} == {
            "better": ["s1", "s2"],
            "ends": ["s1", "s2", "s3"],
            "order": ["s1", "s2", "s3"],
        }
        assert SUMMARIES[order["better"][0]] == first
        assert answers == {
            "better": order["better"][0],
            "ends": {"best": order["ends"][1], "worst": order["ends"][0]},
            "order": [order["order"][place] for place in (2, 0, 1)],
        }


async def test_fields_that_do_not_apply_are_hidden_and_have_no_answer(harness: BrowserHarness) -> None:
    form: list[Data] = [
        {"name": "kind", "type": "select", "options": ["news", "talk"], "required": True},
        {"name": "who", "type": "text", "required": True, "show_if": {"field": "kind", "is": "talk"}},
        {"name": "more", "type": "checkbox", "label": "More"},
        {"name": "what", "type": "textarea", "required": True, "show_if": {"field": "more", "is": True}},
    ]
    async with form_page(harness, form) as session:
        page = await session.visitor("ann")
        await page.call("selectOption", "#field-kind", "talk")
        await page.fill("#field-who", "a neighbour")
        assert not await page.call("isVisible", "#field-what")
        await page.call("check", "#field-more")
        await page.press("Submit")
        await page.call("waitForSelector", "#field-what:focus")
        await page.call("uncheck", "#field-more")
        await page.call("selectOption", "#field-kind", "news")
        assert not await page.call("isVisible", "#field-who")
        assert await answers_of(session, page) == {"kind": "news", "who": None, "more": False, "what": None}


#: Pastes four letters, as far as the page's scripts see.
PASTE = """(() => {
  const pasted = new DataTransfer();
  pasted.setData("text", "abcd");
  const event = new ClipboardEvent("paste", { clipboardData: pasted, bubbles: true });
  document.getElementById("field-item").dispatchEvent(event);
})()"""


async def test_names_that_a_form_has_itself_are_stored_and_signals_beside_them(harness: BrowserHarness) -> None:
    names = ["item", "length", "elements", "namedItem", "constructor", "submit", "id"]
    form: list[Data] = [{"name": name, "type": "text"} for name in names]
    form.append({"name": "action", "type": "checkbox", "required": True})
    async with form_page(harness, form, process_signals=True) as session:
        page = await session.visitor("ann")
        await page.see("This page counts how you fill it in, and not what you write")
        for name in names:
            await page.fill(f"#field-{name}", f"my {name}")
        await page.call("press", "#field-id", "End")
        await page.call("evaluate", PASTE)
        await page.call("check", "#field-action")
        assert await page.barriers() == []
        answers = await answers_of(session, page)
        signals = read_signals(answers.pop(PROCESS_SIGNALS))
        assert answers == {name: f"my {name}" for name in names} | {"action": True}
        assert signals is not None
        assert (signals.keys, signals.tab_switches) == (1, 0)
        assert signals.pasted_share == round(4 / sum(len(f"my {name}") for name in names), 2)
        assert signals.seconds_to_first_key is not None


async def test_a_draft_survives_reloads_until_it_is_submitted(harness: BrowserHarness) -> None:
    form: list[Data] = [
        {"name": "text", "type": "textarea"},
        {"name": "good", "type": "scale"},
        {"name": "tags", "type": "multi_choice", "options": ["a", "b"]},
        {"name": "sure", "type": "slider"},
        {"name": "photo", "type": "file"},
    ]
    async with form_page(harness, form) as session:
        page = await session.visitor("ann")
        await page.fill("#field-text", "half of my an")
        await page.call("check", 'role=radio[name="2"]')
        await page.call("check", 'role=checkbox[name="b"]')
        await page.call("press", "#field-sure", "End")
        await page.call("waitForTimeout", 500)
        await page.call("reload")
        await page.see("Your answers were restored. Please choose your files again.")
        assert await page.call("inputValue", "#field-text") == "half of my an"
        await page.fill("#field-text", "my whole answer")
        assert await answers_of(session, page) == {
            "text": "my whole answer",
            "good": 2,
            "tags": ["b"],
            "sure": 100,
            "photo": None,
        }
        kept = await page.call("evaluate", "Object.keys(localStorage).length")
        assert kept == 0


async def test_a_browser_that_keeps_nothing_is_no_obstacle(harness: BrowserHarness) -> None:
    async with form_page(harness, [{"name": "text", "type": "text"}]) as session:
        page = await session.browser.open("ann")
        await page.call(
            "addInitScript", "Object.defineProperty(window, 'localStorage', {get() { throw new Error('no') }})"
        )
        await page.visit(session.address("ann"))
        await page.fill("#field-text", "mine")
        await page.call("waitForTimeout", 500)
        assert await answers_of(session, page) == {"text": "mine"}


async def test_media_are_shown_and_one_that_is_missing_is_told_of(harness: BrowserHarness) -> None:
    (harness.folder / "media" / "a b").mkdir(parents=True)
    item = {
        "picture": PIXEL,
        "sound": SILENCE,
        "film": "a b/clip #1.webm",
        "pictures": [PIXEL, PIXEL],
        "s1": PIXEL,
        "s2": PIXEL,
    }
    show = [
        {"name": "picture", "as": "image", "label": "A picture"},
        {"name": "sound", "as": "audio"},
        {"name": "film", "as": "video"},
        {"name": "pictures", "as": "image"},
    ]
    form: list[Data] = [{"name": "better", "type": "pairwise", "items": ["s1", "s2"], "as": "image"}]
    async with form_page(harness, form, item, show=show, media="/media/") as session:
        page = await session.visitor("ann")
        await page.see("This file could not be loaded.")
        assert await page.call("getAttribute", "#item img", "alt") == "A picture"
        assert await page.call("isVisible", "#item audio[controls]")
        assert await page.call("evaluate", "document.querySelectorAll('#item img').length") == 3
        assert await page.call("evaluate", "document.querySelectorAll('.card img').length") == 2
        [report] = await session.operator.packets("log_error")
        assert report.data["error_data"] == {"error": "cannot load /media/a%20b/clip%20%231.webm"}
        assert await page.barriers() == []


@pytest.mark.parametrize("points", [5, 11, 21])
async def test_a_scale_stays_on_one_line_on_a_phone(harness: BrowserHarness, points: int) -> None:
    form: list[Data] = [{"name": "good", "type": "scale", "min": 0, "max": points - 1}]
    async with form_page(harness, form) as session:
        page = await session.visitor("ann", viewport=PHONE)
        await page.see(str(points - 1))
        tops = (
            "new Set(Array.from(document.querySelectorAll('.option'), (one) => one.getBoundingClientRect().top)).size"
        )
        assert await page.call("evaluate", tops) == 1
        assert await page.call("evaluate", "document.documentElement.scrollWidth") == PHONE["width"]
        await page.picture(f"1-phone-{points}")


async def test_texts_run_in_the_direction_of_their_script(harness: BrowserHarness) -> None:
    form: list[Data] = [
        {"name": "answer", "type": "text", "label": "מה דעתך?"},
        {"name": "kind", "type": "choice", "options": ["טוב", "good"]},
    ]
    async with form_page(harness, form, {"text": "שלום עולם"}, show=["text"]) as session:
        page = await session.visitor("ann")
        await page.fill("#field-answer", "כן")
        for selector in ("#item dd span", "label[for=field-answer] span", "#field-answer", ".option-text span"):
            direction = f"getComputedStyle(document.querySelector('{selector}')).direction"
            assert await page.call("evaluate", direction) == "rtl", selector


async def test_an_error_of_the_page_does_not_leave_it_submitting(harness: BrowserHarness) -> None:
    async with form_page(harness, [{"name": "text", "type": "text"}]) as session:
        page = await session.visitor("ann")
        await page.fill("#field-text", "mine")
        broken = """
            const { stringify } = JSON;
            JSON.stringify = (value, ...rest) => {
              if (!value?.final_data) return stringify(value, ...rest);
              JSON.stringify = stringify;
              throw new Error("broken");
            };
        """
        await page.call("evaluate", f"(() => {{ {broken} }})()")
        await page.press("Submit")
        await page.see("Something went wrong on this page, and your work is not submitted.")
        [report] = await session.operator.packets("log_error")
        assert report.data["error_data"] == {"error": "Error: broken"}
        assert await answers_of(session, page) == {"text": "mine"}


async def test_progress_is_shown_where_the_operator_gives_it(harness: BrowserHarness) -> None:
    config = {"task_title": "A form", "frontend": {"form": [{"name": "text", "type": "text"}]}}
    script = StaticScript([{"text": "One."}], progress={"unit": 3, "of": 20})
    async with harness.session([STOCK_PAGE, CLIENT, MOCK_PROVIDER], config, script) as session:
        page = await session.visitor("ann")
        await page.see("Task 3 of up to 20")
