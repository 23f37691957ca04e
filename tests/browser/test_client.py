"""Features of `mephisto_client.js` that the pages of this project do not use."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import msgspec

from .browser import Page
from .browser_harness import CLIENT, MOCK_PROVIDER, BrowserHarness, BrowserSession
from .scripts import EchoScript, OnboardedChatScript, Script, StaticScript

BARE_PAGE = Path(__file__).parent / "bare_page"


def bare_page(harness: BrowserHarness, script: Script) -> AbstractAsyncContextManager[BrowserSession]:
    return harness.session([BARE_PAGE, CLIENT, MOCK_PROVIDER], {}, script)


async def run(page: Page, script: str) -> str:
    """Runs statements with the opened `task` and gives what they return as JSON."""
    body = f"(async () => {{ const task = await opening; {script} }})()"
    return str(await page.call("evaluate", f"{body}.then(JSON.stringify)"))


async def opened(session: BrowserSession) -> Page:
    page = await session.visitor("ann")
    await session.operator.packets("register_agent")
    return page


async def test_remote_procedures(harness: BrowserHarness) -> None:
    async with bare_page(harness, EchoScript()) as session:
        page = await opened(session)
        echoed = await run(page, "return Promise.all([1, 2, 3].map((n) => task.call('echo', {n, text: 'wörld'})))")
        assert msgspec.json.decode(echoed) == [{"n": n, "text": "wörld"} for n in (1, 2, 3)]
        refused = await run(page, "return task.call('refuse').catch((error) => error.message)")
        assert msgspec.json.decode(refused) == "this procedure always refuses"


async def test_form_data_with_a_file(harness: BrowserHarness) -> None:
    upload = harness.folder / "notes.txt"
    upload.write_text("some notes", encoding="utf-8")
    async with bare_page(harness, StaticScript([{}])) as session:
        page = await opened(session)
        await page.call("setInputFiles", "[name=attachment]", str(upload))
        await run(page, "await task.submit(new FormData(document.getElementById('form')))")
        [submission] = await session.operator.packets("submit_unit")
        answer = submission.data["final_data"]
        assert isinstance(answer, dict)
        attachment = answer.pop("attachment")
        assert (attachment["name"], attachment["size"]) == ("notes.txt", 10)
        assert answer == {"note": "a form as it is", "colour": ["red", "blue"]}
        files = submission.data["files"]
        assert isinstance(files, list)
        assert [file["originalname"] for file in files] == ["notes.txt"]


async def test_metadata_and_errors(harness: BrowserHarness) -> None:
    async with bare_page(harness, StaticScript([{}])) as session:
        page = await opened(session)
        answer = await run(page, "return task.sendMetadata({type: 'tips', header: 'a tip', text: 'be kind'})")
        assert msgspec.json.decode(answer) == {"status": "Submitted metadata"}
        [metadata] = await session.operator.packets("submit_metadata")
        assert metadata.data["metadata"] == {"tips": {"type": "tips", "header": "a tip", "text": "be kind"}}
        await run(page, "dispatchEvent(new ErrorEvent('error', {message: 'it broke'}))")
        [report] = await session.operator.packets("log_error")
        assert report.data["error_data"] == {"error": "it broke"}
        assert report.subject_id == metadata.subject_id


async def test_submitting_twice_is_one_submission(harness: BrowserHarness) -> None:
    async with bare_page(harness, StaticScript([{}])) as session:
        page = await opened(session)
        await run(page, "await Promise.all([task.submit(1), task.submit(2)]); await task.submit(3)")
        await run(page, "await task.sendMetadata({type: 'tips', text: 'after everything else'})")
        await session.operator.packets("submit_metadata")
        assert len(session.operator.received("submit_unit")) == 1


async def test_live_onboarding_leads_on_to_the_task(harness: BrowserHarness) -> None:
    async with bare_page(harness, OnboardedChatScript("soup", messages=1)) as session:
        ann, bob = await opened(session), await session.visitor("bob")
        for page in (ann, bob):
            # The last one: a page whose socket had to be opened again is told once more.
            await page.call("waitForFunction", "statuses.at(-1)?.join() === 'true,onboarding'")
            await run(page, "task.send({text: 'I am ready'})")
            await page.call("waitForFunction", "statuses.some(([trial]) => !trial)")
        for page in (ann, bob):
            await page.call("waitForFunction", "statuses.at(-1).join() === 'false,in task'")
        onboardings = await session.operator.packets("submit_onboarding", 2)
        assert [each.data["onboarding_data"] for each in onboardings] == [{}, {}]
        await run(ann, "task.send({text: 'hello'})")
        updates = await session.operator.packets("mephisto_bound_live_update", 3)
        assert not str(updates[-1].subject_id).startswith("onboarding")
