"""React pages on the published client library `mephisto-task` 2.0.4, on both routers where they matter."""

from contextlib import AbstractAsyncContextManager

from .browser import Page
from .browser_harness import BUNDLE_PAGE, MOCK_PROVIDER, BrowserHarness, BrowserSession, one_router
from .scripts import NO_WORK, ChatScript, Data, OnboardedChatScript, Script, StaticScript

ITEMS: list[Data] = [{"text": "The first item"}, {"text": "The second item"}]
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"


def react_page(
    harness: BrowserHarness, bundle: str, script: Script, **config: object
) -> AbstractAsyncContextManager[BrowserSession]:
    parts = [BUNDLE_PAGE, harness.tools.react_build / bundle, MOCK_PROVIDER]
    return harness.session(parts, {"task_title": "a React task", **config}, script)


async def test_preview_accept_submit(harness: BrowserHarness) -> None:
    async with react_page(harness, "static_page", StaticScript(ITEMS)) as session:
        page = await session.browser.open("ann")
        await page.visit(session.router.url)
        await page.see("Preview of a React task")
        await page.picture("1-preview")
        await page.visit(session.address("ann"))
        await page.see("The first item")
        await page.call("click", "#tip")
        await page.call("click", "#complain")
        await page.fill("#note", "half")
        await page.call("reload")
        await page.see("The first item")
        await page.fill("#note", "all of it")
        await page.call("click", "#submit")
        await page.see("Handed in")
        await page.picture("2-handed-in")

        [submission] = await session.operator.packets("submit_unit")
        assert submission.data["final_data"] == {"note": "all of it"}
        [tip] = await session.operator.packets("submit_metadata")
        assert tip.data["metadata"] == {"tips": {"type": "tips", "header": "tip", "text": "be kind"}}
        [report] = await session.operator.packets("log_error")
        assert report.data["error_data"] == {"error": "it broke"}
        await dialog(page, "The task has been submitted!")


async def dialog(page: Page, beginning: str) -> None:
    """Return the provider's message, which is shown only after the server accepted the submission."""
    await page.call("waitForLoadState", "networkidle")
    [message] = (await page.heard()).dialogs
    assert message.startswith(beginning)


async def test_onboarding(harness: BrowserHarness) -> None:
    script = StaticScript(ITEMS, onboarding={"text": "Read this first"})
    async with react_page(harness, "static_page", script) as session:
        ann = await session.visitor("ann")
        await ann.see("Read this first")
        await ann.call("click", "#pass")
        await ann.see("The first item")
        await ann.call("click", "#submit")
        await ann.see("Handed in")
        bob = await session.visitor("bob")
        await bob.call("click", "#fail")
        await bob.see("You are not currently qualified")
        [submission] = await session.operator.packets("submit_unit")
        assert submission.data["final_data"] == {"note": ""}


@one_router
async def test_blocked_text_and_phone(harness: BrowserHarness) -> None:
    async with react_page(harness, "static_page", StaticScript([]), block_mobile=True) as session:
        ann = await session.visitor("ann", userAgent=PHONE)
        await ann.see("Sorry, this task cannot be completed on mobile devices.")
        assert session.operator.received("register_agent") == []
        bob = await session.visitor("bob")
        await bob.see(NO_WORK)


async def test_live_page_with_two_workers(harness: BrowserHarness) -> None:
    async with react_page(harness, "live_page", ChatScript("soup", messages=3)) as session:
        ann = await session.visitor("ann")
        await ann.call("waitForSelector", "#agent-status >> text=waiting")
        bob = await session.visitor("bob")
        for page in (ann, bob):
            await page.call("waitForSelector", "#agent-status >> text=in task")
        await ann.see("Speaker 1")
        await say(ann, "hello from ann")
        await bob.see("Speaker 1: hello from ann")
        await say(bob, "hello from bob")
        await ann.see("Speaker 2: hello from bob")
        await bob.call("reload")
        await bob.see("Speaker 1: hello from ann")
        await bob.see("Speaker 2: hello from bob")
        await bob.call("waitForSelector", "#connection-status >> text=connected")
        await say(ann, "that is all")
        for page in (ann, bob):
            await page.see("Speaker 1: that is all")
            await page.picture("1-end")
            await page.call("click", "#finish")
        submissions = await session.operator.packets("submit_unit", 2)
        assert [each.data["final_data"] for each in submissions] == [{"lines": 3}, {"lines": 3}]


async def say(page: Page, words: str) -> None:
    await page.fill("#text", words)
    await page.call("click", "#send")


async def test_live_onboarding(harness: BrowserHarness) -> None:
    """The library may greet with the onboarding's id and go on with the task's: see it through."""
    async with react_page(harness, "live_page", OnboardedChatScript("soup", messages=1)) as session:
        ann, bob = await session.visitor("ann"), await session.visitor("bob")
        for page in (ann, bob):
            await page.call("waitForSelector", "#agent-status >> text=onboarding")
        await say(ann, "I am ready")
        await ann.call("waitForSelector", "#agent-status >> text=waiting")
        # Bob does not wait to be seen waiting: he is the second, and goes to work at once.
        await say(bob, "I am ready")
        for page in (ann, bob):
            await page.call("waitForSelector", "#agent-status >> text=in task")
        await say(ann, "hello from ann")
        await bob.see("Speaker 1: hello from ann")
