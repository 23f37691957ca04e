"""The tasks of the tutorial, launched by their own scripts and done in a real browser."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ..processes import OperatorProcess, operator_process, report_of
from .browser import Browser, Page, open_browser
from .browser_harness import ROOT, Tools

TUTORIAL = ROOT / "docs" / "tutorial"
DATA = "mephisto_data"
#: Rows of the tutorial's data.
REVIEWS = 3


@asynccontextmanager
async def launched(
    tools: Tools, folder: Path, script: str, *overrides: str
) -> AsyncIterator[tuple[OperatorProcess, Browser]]:
    """Run a tutorial script and a browser; when the block ends, the script ends because its work is done."""
    settings = [f"mephisto.database.data_dir={folder / DATA}", "mephisto.architect.port=0", *overrides]
    async with (
        operator_process([sys.executable, str(TUTORIAL / script), *settings]) as operator,
        open_browser(tools.browser, folder) as browser,
    ):
        yield operator, browser
        assert await operator.process.wait() == 0
    report = report_of(folder / DATA)
    assert report.legal, report.findings
    assert set(report.units) == {"completed"}


async def accept(operator: OperatorProcess, page: Page, assignment: int) -> None:
    """Have a worker accept another assignment at the provider."""
    await page.visit(f"{operator.url}/?worker_id={page.name}&assignment_id={assignment}")


async def test_the_stock_page(tools: Tools, tmp_path: Path) -> None:
    async with launched(tools, tmp_path, "reviews/run_task.py") as (operator, browser):
        for page in (await browser.open("ann"), await browser.open("bob")):
            for assignment in range(REVIEWS):
                await accept(operator, page, assignment)
                await page.see("What does the writer think of it?")
                await page.call("check", 'role=radio[name="good"]')
                await page.press("Submit")
                await page.see("Submitted.")


async def test_a_page_of_ones_own(tools: Tools, tmp_path: Path) -> None:
    async with launched(tools, tmp_path, "reviews/run_task.py", "conf=reviews_own_page") as (operator, browser):
        for page in (await browser.open("ann"), await browser.open("bob")):
            for assignment in range(REVIEWS):
                await accept(operator, page, assignment)
                await page.see("What does the writer think of the")
                assert await page.barriers() == []
                await page.press("It is good")
                await page.see("Thank you!")


async def test_remote_procedures(tools: Tools, tmp_path: Path) -> None:
    async with launched(tools, tmp_path, "reviews/run_with_procedures.py") as (operator, browser):
        hints = []
        page = await browser.open("ann")
        for assignment in range(REVIEWS):
            await accept(operator, page, assignment)
            await page.see("What does the writer think of the")
            await page.press("Give me a hint")
            await page.see("harsh words")
            hints.append(await page.text("#hint"))
            await page.press("Hard to say")
            await page.see("Thank you!")
        assert hints == ["2 kind and 0 harsh words", "0 kind and 2 harsh words", "1 kind and 0 harsh words"]


async def test_a_chat_for_two(tools: Tools, tmp_path: Path) -> None:
    async with launched(tools, tmp_path, "chat_in_turns/run_task.py") as (operator, browser):
        ann, bob = await browser.open("ann"), await browser.open("bob")
        for page in (ann, bob):
            await accept(operator, page, 1)
        turns = ((ann, bob, "Porridge"), (bob, ann, "Toast"), (ann, bob, "No"), (bob, ann, "Yes"))
        for speaker, listener, words in turns:
            await speaker.see("It is your turn. Topic: the best breakfast")
            await speaker.fill("#text", words)
            await speaker.press("Send")
            await listener.see(f"Partner: {words}")
            await listener.call("reload")
            await listener.see(f"Partner: {words}")
        for page in (ann, bob):
            await page.see("That was all.")
            assert await page.barriers() == []
            await page.press("Finish")
            await page.see("Thank you!")
