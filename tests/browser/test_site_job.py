"""A whole job on a simulated site with real pages in Chromium, beside programs: both sides' books are equal.

`SITE_UNITS=200 SITE_BROWSERS=20` is the long form, which `make sites` runs and whose figures it prints.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path
from random import Random
from urllib.parse import parse_qs, urlsplit

import pytest
import trio
import yaml
from click.testing import CliRunner

from mephisto_es.adapters.cli.main import main
from mephisto_es.adapters.crowd.site_demo import DemoPerson, run_site_demo
from mephisto_es.adapters.crowd.site_visitor import SiteVisitor
from mephisto_es.core.operations.config_handler import CONFIG_FILE_VARIABLE

from .browser import Browser, BrowserProcess, Page, open_browser

UNITS = int(os.environ.get("SITE_UNITS", "3"))
BROWSERS = int(os.environ.get("SITE_BROWSERS", "2"))
KINDS = ("connect", "prolific", "sona") if UNITS > 3 else ("connect",)
LIMIT_SECONDS = 120 + 5 * UNITS
SETTINGS = "config.yml"
#: Verbs that show much of a run.
SHOWING = (
    "export {folder} 1",
    "timeline {folder} run-1",
    "ledger {folder} 1",
    "status {folder} 1",
    "show {folder}",
    "report {folder} 1",
)
#: The button with which a person takes a place.
TAKE = {"prolific": "Reserve", "connect": "Accept", "sona": "Sign up"}
TASK = "Submit rating"


class ChromiumPerson:
    """A person in Chromium, who goes from the site to the task and back."""

    def __init__(self, person: DemoPerson, page: Page) -> None:
        self._person = person
        self._page = page

    async def take_part(self) -> None:
        page = self._page
        await page.visit(self._person.site_url)
        await page.fill("input[name=person]", f"person{self._person.number}")
        await page.press("Sign in")
        while not await self._is_at_work():
            await page.visit(self._person.site_url)
            if await self._has(TAKE[self._person.kind]):
                await page.press(TAKE[self._person.kind])
            if self._person.kind == "sona" and await self._page.call("isVisible", 'role=link[name="Open"]'):
                await self._page.call("click", 'role=link[name="Open"]')
            if self._person.kind == "prolific" and await self._has("Open"):
                await page.press("Open")
        await page.call("check", 'role=radio[name="4"]')
        await page.press(TASK)
        await page.see("Your work has arrived")
        if self._person.kind == "connect":
            await page.see(self._person.code)
            await page.visit(self._person.site_url)
            await page.fill("input[name=code]", self._person.code)
            await page.press("Enter code")
            await page.see("Pending")

    async def _is_at_work(self) -> bool:
        """Wait until the task's page has loaded; False if this is another page, or there is no unit."""
        if self._person.site_url in str(await self._page.call("evaluate", "location.href")):
            return False
        await self._page.call("waitForSelector", f'role=button[name="{TASK}"]')
        return True

    async def _has(self, button: str) -> bool:
        return bool(await self._page.call("isVisible", f'role=button[name="{button}"]'))


def secret_of(settings: Path, kind: str) -> str:
    """Return the key of the account, or the token in its address."""
    account = yaml.safe_load(settings.read_text())[kind]["demo"]
    if "api_key" in account:
        return str(account["api_key"])
    return parse_qs(urlsplit(str(account["completion_url"])).query)["credit_token"][0]


def process_list() -> str:
    """Return the commands of all processes, as anybody on the machine sees them."""
    commands = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            commands.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return "\n".join(commands)


def check_secrets(secret: str, kind: str, folder: Path, seen: str) -> None:
    """Check that a secret is in no file but the settings, in nothing that was said, and in nothing that is shown."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != SETTINGS]
    assert [path for path in files if secret.encode() in path.read_bytes()] == []
    assert secret not in seen
    for words in SHOWING:
        shown = CliRunner().invoke(main, [word.format(folder=folder) for word in words.split()])
        assert shown.exit_code == 0, shown.output
        assert secret not in shown.output, f"{kind}: {words}"


@pytest.mark.parametrize("kind", KINDS)
async def test_people_in_chromium_and_programs_are_paid_to_the_cent(
    kind: str,
    browser_process: BrowserProcess,
    artefacts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(CONFIG_FILE_VARIABLE, "")  # set by the demo, and put back afterwards
    processes = set[str]()

    async def take_part(browser: Browser, person: DemoPerson) -> None:
        processes.add(process_list())
        if person.number < BROWSERS:
            page = await browser.open(f"{kind}-{person.number}")
            await ChromiumPerson(person, page).take_part()
        else:
            name, chance = f"person{person.number}", Random(person.number)
            await SiteVisitor(kind, person.site_url, name, person.code, chance).take_part()

    with trio.fail_after(LIMIT_SECONDS):
        async with open_browser(browser_process, artefacts) as browser:
            done = await run_site_demo(
                kind,
                UNITS,
                tmp_path,
                seed=1,
                on_live=lambda _: None,
                on_submitted=lambda: None,
                take_part=lambda person: take_part(browser, person),
            )
    assert done.is_success, done
    assert done.units == {"accepted": UNITS}
    assert done.paid_cents == done.site_paid_cents
    said = "".join(capfd.readouterr())
    assert "router" in "".join(processes), "the run's own processes were not seen"
    check_secrets(secret_of(tmp_path / SETTINGS, kind), kind, tmp_path, "".join((said, *processes)))
    earned = f"{done.paid_cents} {'credits' if kind == 'sona' else 'cents'}"
    figures = f"{UNITS} units, {BROWSERS} in Chromium, {earned}, {done.calls} calls, {done.seconds} s"
    sys.stdout.write(f"{kind}: {figures}\n")
