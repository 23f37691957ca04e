"""The stock page of static tasks in a real browser, on both routers."""

import hashlib
from contextlib import AbstractAsyncContextManager

import httpx
import pytest

from .browser_harness import CLIENT, MOCK_PROVIDER, STOCK_PAGE, Stage, Workshop
from .scripts import NO_WORK, Data, StaticScript

FORM: list[Data] = [
    {
        "name": "fluency",
        "type": "scale",
        "label": "How natural is the sentence?",
        "min_label": "not at all",
        "max_label": "completely",
        "required": True,
    },
    {
        "name": "kind",
        "type": "select",
        "label": "What kind of text is it from?",
        "options": ["news", {"value": "talk", "label": "a conversation"}],
    },
    {"name": "sure", "type": "checkbox", "label": "I am sure"},
    {"name": "comment", "type": "textarea", "label": "Anything else?", "max_length": 500},
]
CONFIG: Data = {
    "task_title": "Rate a sentence",
    "instructions": "Read the sentence.\n\nThen say what you think of it.",
    "frontend": {"show": [{"name": "sentence", "label": "Sentence"}], "form": FORM},
}
ITEMS: list[Data] = [
    {"id": 1, "sentence": "The ferry does not run on Sundays."},
    {"id": 2, "sentence": "Bees return to the same patch of clover."},
]
PHONE = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36"


def stock_page(workshop: Workshop, script: StaticScript, **config: object) -> AbstractAsyncContextManager[Stage]:
    return workshop.stage([STOCK_PAGE, CLIENT, MOCK_PROVIDER], {**CONFIG, **config}, script)


async def test_preview_accept_submit(workshop: Workshop) -> None:
    async with stock_page(workshop, StaticScript(ITEMS)) as stage:
        page = await stage.browser.open("ann")
        await page.visit(stage.router.url)
        await page.see("This is a preview")
        assert await page.barriers() == []
        await page.picture("1-preview")
        assert stage.operator.received("register_agent") == []

        await page.visit(stage.address("ann"))
        await page.see("The ferry does not run on Sundays.")
        await page.see("Then say what you think of it.")
        assert await page.barriers() == []
        await page.picture("2-task")
        await page.call("check", 'role=radio[name="4"]')
        await page.call("selectOption", "#field-kind", "a conversation")
        await page.fill("#field-comment", "Grüße 👋")
        await page.press("Submit")
        await page.see("Submitted. Thank you!")
        assert await page.barriers() == []
        await page.picture("3-submitted")

        [submission] = await stage.operator.packets("submit_unit")
        assert submission.data["final_data"] == {
            "fluency": 4,
            "kind": "talk",
            "sure": False,
            "comment": "Grüße 👋",
        }
        [dialog] = (await page.heard()).dialogs
        assert dialog.startswith("The task has been submitted!")


async def test_keyboard_alone_is_enough(workshop: Workshop) -> None:
    async with stock_page(workshop, StaticScript(ITEMS)) as stage:
        page = await stage.visitor("ann")
        await page.see("The ferry does not run on Sundays.")
        for key in ("Tab", "ArrowRight", "Tab", "Tab", "Space", "Tab", "Tab", "Enter"):
            await page.type_key(key)
        await page.see("Submitted. Thank you!")
        [submission] = await stage.operator.packets("submit_unit")
        assert submission.data["final_data"] == {
            "fluency": 2,
            "kind": None,
            "sure": True,
            "comment": None,
        }


async def test_required_field_holds_the_form_back(workshop: Workshop) -> None:
    async with stock_page(workshop, StaticScript(ITEMS)) as stage:
        page = await stage.visitor("ann")
        await page.see("The ferry does not run on Sundays.")
        await page.press("Submit")
        await page.call("waitForSelector", "#form:invalid")
        assert stage.operator.received("submit_unit") == []


async def test_file_upload(workshop: Workshop) -> None:
    form: list[Data] = [
        {"name": "photo", "type": "file", "label": "A photo", "required": True},
        {"name": "more", "type": "file", "label": "More photos", "multiple": True},
        {"name": "note", "type": "text", "label": "A note"},
    ]
    photo = workshop.folder / "my größte photo.png"
    photo.write_bytes(bytes(range(256)) * 400)
    async with stock_page(workshop, StaticScript(ITEMS), frontend={"form": form}) as stage:
        page = await stage.visitor("ann")
        await page.call("setInputFiles", "#field-photo", str(photo))
        await page.fill("#field-note", "see the attachment")
        await page.press("Submit")
        await page.see("Submitted. Thank you!")

        [submission] = await stage.operator.packets("submit_unit")
        answer = submission.data["final_data"]
        assert isinstance(answer, dict)
        assert answer["note"] == "see the attachment"
        assert answer["more"] is None
        assert answer["photo"]["name"] == photo.name
        files = submission.data["files"]
        assert isinstance(files, list)
        [stored] = files
        assert (stored["fieldname"], stored["originalname"]) == ("photo", photo.name)
        assert stored["sha256"] == hashlib.sha256(photo.read_bytes()).hexdigest()

        file_url = f"{stage.router.url}/download_file/{stored['filename']}"
        async with httpx.AsyncClient() as client:
            proof = {"Authorization": f"Bearer {stage.router.secret}"}
            downloaded = await client.get(file_url, headers=proof)
        assert downloaded.content == photo.read_bytes()


async def test_onboarding_passed(workshop: Workshop) -> None:
    script = StaticScript(ITEMS, onboarding={"text": "An example"})
    async with stock_page(workshop, script) as stage:
        page = await stage.visitor("ann")
        await page.call("check", "#field-success")
        await page.picture("1-onboarding")
        await page.press("Submit")
        await page.see("The ferry does not run on Sundays.")
        await page.call("reload")
        await page.see("The ferry does not run on Sundays.")
        await page.call("check", 'role=radio[name="5"]')
        await page.press("Submit")
        await page.see("Submitted. Thank you!")
        [submission] = await stage.operator.packets("submit_unit")
        assert not str(submission.subject_id).startswith("onboarding")


async def test_onboarding_failed(workshop: Workshop) -> None:
    form: list[Data] = [{"name": "success", "type": "checkbox", "label": "I agree"}]
    script = StaticScript(ITEMS, onboarding={})
    async with stock_page(workshop, script, frontend={"onboarding": {"form": form}}) as stage:
        page = await stage.visitor("ann")
        await page.press("Submit")
        await page.see("You are not currently qualified")
        await page.picture("1-refused")


async def test_reload_in_the_middle(workshop: Workshop) -> None:
    async with stock_page(workshop, StaticScript(ITEMS)) as stage:
        page = await stage.visitor("ann")
        await page.see("The ferry does not run on Sundays.")
        await page.fill("#field-comment", "half of my an")
        await page.call("reload")
        await page.see("The ferry does not run on Sundays.")
        await page.call("check", 'role=radio[name="1"]')
        await page.press("Submit")
        await page.see("Submitted. Thank you!")
        await page.call("reload")
        await page.see("Submitted. Thank you!")

        other = await stage.visitor("bob")
        await other.see("Bees return to the same patch of clover.")
        assert len(stage.operator.received("submit_unit")) == 1


async def test_blocked_text(workshop: Workshop) -> None:
    async with stock_page(workshop, StaticScript([])) as stage:
        page = await stage.visitor("ann")
        await page.see(NO_WORK)
        await page.picture("1-no-work")


@pytest.mark.parametrize("blocked", [True, False])
async def test_phone(workshop: Workshop, blocked: bool) -> None:
    async with stock_page(workshop, StaticScript(ITEMS), block_mobile=blocked) as stage:
        size = {"width": 390, "height": 844}
        page = await stage.visitor("ann", userAgent=PHONE, viewport=size)
        if blocked:
            await page.see("Sorry, this task cannot be completed on mobile devices.")
            assert stage.operator.received("register_agent") == []
        else:
            await page.see("The ferry does not run on Sundays.")
            width = await page.call("evaluate", "document.documentElement.scrollWidth")
            assert width == size["width"], "the page must not scroll sideways"
        await page.picture("1-phone")


async def test_submission_that_fails_is_shown_and_tried_again(workshop: Workshop) -> None:
    async with stock_page(workshop, StaticScript(ITEMS)) as stage:
        page = await stage.visitor("ann")
        await page.call("check", 'role=radio[name="3"]')
        await stage.router.stop()
        await page.press("Submit")
        await page.see("Your work is not handed in yet.")
        assert await page.barriers() == []
        await page.picture("1-not-handed-in")
        await stage.router.start(stage.nursery)
        await page.press("Try again")
        await page.see("Submitted. Thank you!")
        [submission] = await stage.operator.packets("submit_unit")
        assert submission.data["final_data"] == {
            "fluency": 3,
            "kind": None,
            "sure": False,
            "comment": None,
        }


async def test_faulty_form_is_reported_to_the_operator(workshop: Workshop) -> None:
    form: list[Data] = [{"name": "x", "type": "slider"}]
    async with stock_page(workshop, StaticScript(ITEMS), frontend={"form": form}) as stage:
        page = await stage.visitor("ann")
        await page.see("This task is not set up correctly.")
        [report] = await stage.operator.packets("log_error")
        error = report.data["error_data"]
        assert isinstance(error, dict)
        assert 'the type "slider" is none of scale, choice' in error["error"]
