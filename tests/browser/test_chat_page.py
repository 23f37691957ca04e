"""The chat page for two in a real browser, on both routers."""

from contextlib import AbstractAsyncContextManager

from .browser import Page
from .browser_harness import CHAT_PAGE, CLIENT, MOCK_PROVIDER, BrowserHarness, BrowserSession
from .scripts import ChatScript

TOPIC = "the best soup"


def chat_page(
    harness: BrowserHarness, script: ChatScript, **settings: str
) -> AbstractAsyncContextManager[BrowserSession]:
    parts = [CHAT_PAGE, CLIENT, MOCK_PROVIDER]
    return harness.session(parts, {"chat_title": "A chat about food"}, script, settings)


async def say(page: Page, words: str) -> None:
    await page.fill("#text", words)
    await page.call("press", "#text", "Enter")


async def lines(page: Page) -> list[str]:
    """Return the messages that a worker sees, without the names."""
    script = "[...document.querySelectorAll('#messages p')].map(line => line.lastChild.data).join('|')"
    return str(await page.call("evaluate", script)).split("|")


async def test_two_workers_to_the_end(harness: BrowserHarness) -> None:
    script = ChatScript(TOPIC, messages=4)
    async with chat_page(harness, script) as session:
        ann = await session.visitor("ann")
        await ann.see("Waiting for your partner.")
        assert await ann.barriers() == []
        await ann.picture("1-waiting")
        bob = await session.visitor("bob")
        for page in (ann, bob):
            await page.see("Your partner is here.")
            await page.see(f"Topic: {TOPIC}")

        assert await ann.barriers() == []
        await say(ann, "Hello, soup friend")
        await bob.see("Hello, soup friend")
        await say(bob, "Leek, without question")
        await ann.see("Leek, without question")
        await bob.call("reload")
        await bob.see("Speaker 2 (you)")
        assert await lines(bob) == ["Hello, soup friend", "Leek, without question"]
        await say(ann, "one")
        await say(ann, "two")
        for page in (ann, bob):
            await page.see("That was the whole conversation.")
            assert await page.barriers() == []
            await page.picture("2-done")
        said = ["Hello, soup friend", "Leek, without question", "one", "two"]
        assert await lines(ann) == said
        assert await lines(bob) == said

        for page in (ann, bob):
            await page.press("Finish and submit")
            await page.see("Submitted. Thank you!")
        submissions = await session.operator.packets("submit_unit", 2)
        assert [each.data["final_data"] for each in submissions] == [
            {"messages_written": 3, "partner_left": False},
            {"messages_written": 1, "partner_left": False},
        ]
        await ann.call("reload")
        await ann.see("Submitted. Thank you!")


async def test_partner_leaves(harness: BrowserHarness) -> None:
    script = ChatScript(TOPIC, messages=10)
    async with chat_page(harness, script, MEPHISTO_ROUTER_HEARTBEAT_LIMIT_SECONDS="8") as session:
        ann = await session.visitor("ann")
        bob = await session.visitor("bob")
        await say(ann, "Hello?")
        await bob.see("Hello?")
        await bob.visit("about:blank")
        await ann.see("Your partner has left.")
        await ann.picture("1-partner-left")
        await ann.press("Finish and submit")
        await ann.see("Submitted. Thank you!")
        [submission] = await session.operator.packets("submit_unit")
        assert submission.data["final_data"] == {"messages_written": 1, "partner_left": True}


async def test_router_restarts_in_the_middle(harness: BrowserHarness) -> None:
    script = ChatScript(TOPIC, messages=10)
    async with chat_page(harness, script) as session:
        ann = await session.visitor("ann")
        bob = await session.visitor("bob")
        await say(ann, "before")
        await bob.see("before")
        await session.router.stop()
        await ann.see("Reconnecting")
        for words in ("during 1", "during 2", "during 3"):
            await say(ann, words)
        await session.router.start(session.nursery)
        await bob.see("during 3")
        await say(bob, "after")
        await ann.see("after")
        assert await lines(bob) == ["before", "during 1", "during 2", "during 3", "after"]
        assert await lines(ann) == ["before", "during 1", "during 2", "during 3", "after"]


async def test_third_worker_and_preview(harness: BrowserHarness) -> None:
    script = ChatScript(TOPIC, messages=10)
    async with chat_page(harness, script) as session:
        await session.visitor("ann")
        await session.visitor("bob")
        cat = await session.visitor("cat")
        await cat.see("There is currently no available work")
        dan = await session.browser.open("dan")
        await dan.visit(session.router.url)
        await dan.see("This is a preview.")
