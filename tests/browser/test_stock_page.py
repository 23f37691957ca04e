"""The stock page of static tasks in a real browser, on both routers where they matter."""

import hashlib
from contextlib import AbstractAsyncContextManager

import httpx
import pytest

from .browser_harness import CLIENT, MOCK_PROVIDER, STOCK_PAGE, BrowserHarness, BrowserSession, one_router
from .scripts import CONSENT_MISSING, NO_WORK, Data, StaticScript, Visit

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


def stock_page(
    harness: BrowserHarness, script: StaticScript, **config: object
) -> AbstractAsyncContextManager[BrowserSession]:
    return harness.session([STOCK_PAGE, CLIENT, MOCK_PROVIDER], {**CONFIG, **config}, script)


async def test_preview_accept_submit(harness: BrowserHarness) -> None:
    tips = [{"header": "Bees", "text": "They like <b>clover</b>."}]
    async with stock_page(harness, StaticScript(ITEMS), tips=tips) as session:
        page = await session.browser.open("ann")
        await page.visit(session.router.url)
        await page.see("This is a preview")
        assert await page.barriers() == []
        await page.picture("1-preview")
        assert session.operator.received("register_agent") == []

        await page.visit(session.address("ann"))
        await page.see("The ferry does not run on Sundays.")
        await page.see("Then say what you think of it.")
        await page.call("click", "summary")
        await page.see("They like <b>clover</b>.")
        assert await page.barriers() == []
        await page.picture("2-task")
        await page.call("check", 'role=radio[name="4"]')
        await page.call("selectOption", "#field-kind", "a conversation")
        await page.fill("#field-comment", "Grüße 👋")
        await page.press("Submit")
        await page.see("Submitted. Thank you!")
        assert await page.barriers() == []
        await page.picture("3-submitted")

        [submission] = await session.operator.packets("submit_unit")
        assert submission.data["final_data"] == {
            "fluency": 4,
            "kind": "talk",
            "sure": False,
            "comment": "Grüße 👋",
        }
        [dialog] = (await page.heard()).dialogs
        assert dialog.startswith("The task has been submitted!")


@one_router
async def test_keyboard_alone_is_enough(harness: BrowserHarness) -> None:
    async with stock_page(harness, StaticScript(ITEMS)) as session:
        page = await session.visitor("ann")
        await page.see("The ferry does not run on Sundays.")
        for key in ("Tab", "ArrowRight", "Tab", "Tab", "Space", "Tab", "Tab", "Enter"):
            await page.type_key(key)
        await page.see("Submitted. Thank you!")
        [submission] = await session.operator.packets("submit_unit")
        assert submission.data["final_data"] == {
            "fluency": 2,
            "kind": None,
            "sure": True,
            "comment": None,
        }


@one_router
async def test_required_field_holds_the_form_back(harness: BrowserHarness) -> None:
    async with stock_page(harness, StaticScript(ITEMS)) as session:
        page = await session.visitor("ann")
        await page.see("The ferry does not run on Sundays.")
        await page.press("Submit")
        await page.call("waitForSelector", "#form:invalid")
        assert session.operator.received("submit_unit") == []


async def test_file_upload(harness: BrowserHarness) -> None:
    form: list[Data] = [
        {"name": "photo", "type": "file", "label": "A photo", "required": True},
        {"name": "more", "type": "file", "label": "More photos", "multiple": True},
        {"name": "note", "type": "text", "label": "A note"},
    ]
    photo = harness.folder / "my größte photo.png"
    photo.write_bytes(bytes(range(256)) * 400)
    async with stock_page(harness, StaticScript(ITEMS), frontend={"form": form}) as session:
        page = await session.visitor("ann")
        await page.call("setInputFiles", "#field-photo", str(photo))
        await page.fill("#field-note", "see the attachment")
        await page.press("Submit")
        await page.see("Submitted. Thank you!")

        [submission] = await session.operator.packets("submit_unit")
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

        file_url = f"{session.router.url}/download_file/{stored['filename']}"
        async with httpx.AsyncClient() as client:
            proof = {"Authorization": f"Bearer {session.router.secret}"}
            downloaded = await client.get(file_url, headers=proof)
        assert downloaded.content == photo.read_bytes()


async def test_onboarding_passed(harness: BrowserHarness) -> None:
    script = StaticScript(ITEMS, onboarding={"text": "An example"})
    async with stock_page(harness, script) as session:
        page = await session.visitor("ann")
        await page.call("check", "#field-success")
        await page.picture("1-onboarding")
        await page.press("Submit")
        await page.see("The ferry does not run on Sundays.")
        await page.call("reload")
        await page.see("The ferry does not run on Sundays.")
        await page.call("check", 'role=radio[name="5"]')
        await page.press("Submit")
        await page.see("Submitted. Thank you!")
        [submission] = await session.operator.packets("submit_unit")
        assert not str(submission.subject_id).startswith("onboarding")


async def test_onboarding_failed(harness: BrowserHarness) -> None:
    form: list[Data] = [{"name": "success", "type": "checkbox", "label": "I agree"}]
    script = StaticScript(ITEMS, onboarding={})
    async with stock_page(harness, script, frontend={"onboarding": {"form": form}}) as session:
        page = await session.visitor("ann")
        await page.press("Submit")
        await page.see("You are not currently qualified")
        await page.picture("1-refused")


async def test_reload_in_the_middle(harness: BrowserHarness) -> None:
    async with stock_page(harness, StaticScript(ITEMS)) as session:
        page = await session.visitor("ann")
        await page.see("The ferry does not run on Sundays.")
        await page.fill("#field-comment", "half of my an")
        await page.call("reload")
        await page.see("The ferry does not run on Sundays.")
        await page.call("check", 'role=radio[name="1"]')
        await page.press("Submit")
        await page.see("Submitted. Thank you!")
        await page.call("reload")
        await page.see("Submitted. Thank you!")

        other = await session.visitor("bob")
        await other.see("Bees return to the same patch of clover.")
        assert len(session.operator.received("submit_unit")) == 1


@one_router
async def test_blocked_text(harness: BrowserHarness) -> None:
    async with stock_page(harness, StaticScript([])) as session:
        page = await session.visitor("ann")
        await page.see(NO_WORK)
        await page.picture("1-no-work")


@one_router
@pytest.mark.parametrize("blocked", [True, False])
async def test_phone(harness: BrowserHarness, blocked: bool) -> None:
    async with stock_page(harness, StaticScript(ITEMS), block_mobile=blocked) as session:
        size = {"width": 390, "height": 844}
        page = await session.visitor("ann", userAgent=PHONE, viewport=size)
        if blocked:
            await page.see("Sorry, this task cannot be completed on mobile devices.")
            assert session.operator.received("register_agent") == []
        else:
            await page.see("The ferry does not run on Sundays.")
            width = await page.call("evaluate", "document.documentElement.scrollWidth")
            assert width == size["width"], "the page must not scroll sideways"
        await page.picture("1-phone")


async def test_submission_during_an_outage_is_tried_until_it_goes_through(harness: BrowserHarness) -> None:
    async with stock_page(harness, StaticScript(ITEMS)) as session:
        page = await session.visitor("ann")
        await page.call("check", 'role=radio[name="3"]')
        await session.router.stop()
        await page.press("Submit")
        await page.see("Your work is not submitted yet. It is kept on this page")
        await page.see("Your work is not submitted yet. The server cannot be reached.")
        assert await page.barriers() == []
        await page.picture("1-not-submitted")
        await session.router.start(session.nursery)
        await page.see("Submitted. Thank you!")
        assert not await page.call("isVisible", "text=not submitted yet")
        [submission] = await session.operator.packets("submit_unit")
        assert submission.data["final_data"] == {
            "fluency": 3,
            "kind": None,
            "sure": False,
            "comment": None,
        }


@one_router
async def test_faulty_form_is_reported_to_the_operator(harness: BrowserHarness) -> None:
    form: list[Data] = [{"name": "x", "type": "dial"}]
    async with stock_page(harness, StaticScript(ITEMS), frontend={"form": form}) as session:
        page = await session.visitor("ann")
        await page.see("This task is not set up correctly.")
        [report] = await session.operator.packets("log_error")
        error = report.data["error_data"]
        assert isinstance(error, dict)
        assert 'the type "dial" is none of text, textarea' in error["error"]


class TrainedScript(StaticScript):
    """Lets in whoever has practiced all items."""

    def onboarded(self, visit: Visit, data: object) -> Visit | str:
        assert isinstance(data, dict)
        assert [one["tries"] for one in data["training"]] == [2, 1]
        assert [one["answers"]["fluency"] for one in data["training"]] == [5, 1]
        return self._give_item(visit.worker)


TRAINING: Data = {
    "retries": 1,
    "items": [
        {"data": {"sentence": "It is late."}, "answers": {"fluency": [4, 5]}, "feedback": "People say so."},
        {"data": {"sentence": "Late it."}, "answers": {"fluency": 1}},
    ],
}


@one_router
async def test_a_training_comes_first_and_another_unit_follows(harness: BrowserHarness) -> None:
    script = TrainedScript(ITEMS, onboarding={}, progress={"unit": 1, "of": 2})
    frontend: Data = {"show": ["sentence"], "form": FORM[:1], "onboarding": {"training": TRAINING}}
    async with stock_page(harness, script, frontend=frontend, language="en", direction="rtl") as session:
        page = await session.visitor("ann")
        await page.see("Practice 1 of 2")
        await page.see("It is late.")
        assert await page.barriers() == []
        await page.call("check", 'role=radio[name="1"]')
        await page.press("Submit")
        await page.see("That is not right. Please try again.")
        await page.call("check", 'role=radio[name="5"]')
        await page.press("Submit")
        await page.see("That is right. People say so.")
        await page.picture("1-feedback")
        await page.press("Continue")
        await page.see("Practice 2 of 2")
        await page.call("check", 'role=radio[name="1"]')
        await page.press("Submit")
        await page.see("That is right.")
        await page.press("Continue")
        await page.see("The ferry does not run on Sundays.")
        await page.call("check", 'role=radio[name="5"]')
        await page.press("Submit")
        await page.see("Submitted. Thank you!")
        assert await page.call("getAttribute", "html", "dir") == "rtl"
        await page.call("click", "text=Next task")
        await page.see("Practice 1 of 2")


class ConsentScript(StaticScript):
    """Gives work to whoever consents."""

    def __init__(self) -> None:
        super().__init__(ITEMS)
        self.answers: list[Data] = []

    def consented(self, worker: str, answer: Data) -> None:
        self.answers.append(answer)

    def admit(self, worker: str) -> Visit | str:
        has_consented = bool(self.answers) and self.answers[-1]["given"] is True
        return super().admit(worker) if has_consented else CONSENT_MISSING


async def test_consent_comes_before_the_work(harness: BrowserHarness) -> None:
    script = ConsentScript()
    consent: Data = {"version": "2", "text": "We keep it.\n\nFor five years."}
    async with stock_page(harness, script, consent=consent) as session:
        page = await session.visitor("ann")
        await page.see("For five years.")
        assert await page.barriers() == []
        await page.picture("1-consent")
        await page.press("I do not agree")
        await page.see(CONSENT_MISSING)
        await page.call("reload")
        await page.press("I agree")
        await page.see("The ferry does not run on Sundays.")
    assert script.answers == [{"version": "2", "given": False}, {"version": "2", "given": True}]
