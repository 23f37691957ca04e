"""The page script of crowd sites in a real browser, for people who come through links."""

from pathlib import Path

import msgspec

from mephisto_es.adapters.providers.arrival_page import WRAPPER_FILE, VisitEnd, VisitText, arrival_settings
from mephisto_es.adapters.providers.link.arrival import ArrivalNames
from mephisto_es.core.operations.run.server import provider_script
from mephisto_es.core.operations.texts.catalogue import load_texts, texts_of

from .browser_harness import CLIENT, STOCK_PAGE, BrowserHarness, one_router
from .scripts import Data, StaticScript, Visit

CONFIG: Data = {"task_title": "Rate", "frontend": {"form": [{"name": "why", "type": "text"}]}}


class CodeScript(StaticScript):
    """Has a code for whoever is done."""

    def admit(self, worker: str) -> Visit | str:
        visit = super().admit(worker)
        assert isinstance(visit, Visit)
        visit.completion_code = "7K3M-9QXT-0B5R"
        return visit


def wrapper(folder: Path, *, proof: str | None, several_units: bool = False, language: str = "en") -> Path:
    """Write the script with its settings in front, as the operator does."""
    names = ArrivalNames("MW_ID", None if several_units else "SLOT")
    url = "/done?id={participant}&c={code}"
    end = VisitEnd(sentence=VisitText.CODE, url=url, label=VisitText.CONTINUE, has_code=True)
    settings = arrival_settings(
        "link", names, end, proof=proof, binds_browser=proof is not None, several_units=several_units
    )
    path = folder / WRAPPER_FILE.name
    path.write_bytes(provider_script(WRAPPER_FILE.read_bytes(), settings, load_texts(language, {})))
    return path


async def test_an_invited_person_works_and_gets_a_code(harness: BrowserHarness) -> None:
    script = wrapper(harness.folder, proof="invitation")
    async with harness.session([STOCK_PAGE, CLIENT, script], CONFIG, CodeScript([{"a": 1}])) as session:
        page = await session.browser.open("ann")
        await page.visit(f"{session.router.url}/")
        await page.see("This address lacks your id.")
        await page.visit(f"{session.router.url}/?invitation=signed.text")
        await page.see("Submit")
        await page.press("Submit")
        await page.see("Thank you! Your code is 7K3M-9QXT-0B5R")
        asked = [packet.data["provider_data"] for packet in session.operator.received("register_agent")]
        assert {str(msgspec.json.encode(one)) for one in asked} == {str(msgspec.json.encode(asked[0]))}
        first = msgspec.convert(asked[0], dict[str, str | None])
        assert first["provider_proof"] == "signed.text"
        assert len(first["provider_session"] or "") == 32
        assert await page.text("#mephisto-site-bar a") == "Continue"


@one_router
async def test_the_bar_is_written_from_right_to_left(harness: BrowserHarness) -> None:
    script, texts = wrapper(harness.folder, proof=None, language="ar"), texts_of("ar")
    async with harness.session([STOCK_PAGE, CLIENT, script], CONFIG, CodeScript([{"a": 1}])) as session:
        page = await session.browser.open("ann")
        await page.visit(f"{session.router.url}/")
        await page.see(texts["arrival.missing"])
        assert await page.text("#mephisto-site-bar[dir=rtl][lang=ar]") == texts["arrival.missing"]
        await page.visit(f"{session.router.url}/?MW_ID=ann&SLOT=7")
        await page.press("Submit")
        await page.see(texts["visit.code"].format(code="7K3M-9QXT-0B5R"))
        assert await page.text("#mephisto-site-bar[dir=rtl] bdi") == "7K3M-9QXT-0B5R"
        assert await page.text("#mephisto-site-bar a") == texts["visit.continue"]


@one_router
async def test_a_person_reads_that_their_code_could_not_be_loaded(harness: BrowserHarness) -> None:
    script = wrapper(harness.folder, proof=None)
    async with harness.session([STOCK_PAGE, CLIENT, script], CONFIG, StaticScript([{"a": 1}])) as session:
        page = await session.browser.open("ann")
        await page.visit(f"{session.router.url}/?MW_ID=ann&SLOT=7")
        await page.press("Submit")
        await page.see(texts_of("en")["visit.code_missing"])


async def test_an_id_of_the_address_is_the_worker(harness: BrowserHarness) -> None:
    script = wrapper(harness.folder, proof=None)
    async with harness.session([STOCK_PAGE, CLIENT, script], CONFIG, CodeScript([{"a": 1}])) as session:
        page = await session.browser.open("ann")
        await page.visit(f"{session.router.url}/?MW_ID={{{{MW_ID}}}}")
        await page.see("This address has a placeholder")
        await page.visit(f"{session.router.url}/?MW_ID=ann&SLOT=7")
        await page.see("Submit")
        [packet] = session.operator.received("register_agent")
        asked = msgspec.convert(packet.data["provider_data"], dict[str, str | None])
        assert (asked["worker_name"], asked["provider_handle"], asked["provider_session"]) == ("ann", "7", None)


async def test_a_person_takes_the_next_unit(harness: BrowserHarness) -> None:
    script = wrapper(harness.folder, proof=None, several_units=True)
    items = CodeScript([{"a": 1}, {"a": 2}], progress={"unit": 1, "of": 2})
    async with harness.session([STOCK_PAGE, CLIENT, script], CONFIG, items) as session:
        page = await session.browser.open("ann")
        await page.visit(f"{session.router.url}/?MW_ID=ann")
        await page.press("Submit")
        await page.see("Thank you! Your code is 7K3M-9QXT-0B5R")
        await page.call("click", "text=Next task")
        await page.see("Submit")
        asked = [
            msgspec.convert(packet.data["provider_data"], dict[str, str | None])
            for packet in session.operator.received("register_agent")
        ]
        assert {one["agent_registration_id"] for one in asked} == {"ann-ann", "ann-2-ann"}
        assert {one["worker_name"] for one in asked} == {"ann"}
