"""A worker's own page in a real browser, and what the stock page says of work whose time is up, on both routers."""

from collections.abc import Mapping

from mephisto_es.core.operations.texts.catalogue import load_texts, texts_of

from .browser_harness import CLIENT, MOCK_PROVIDER, STOCK_PAGE, BrowserHarness, one_router
from .scripts import Data, StaticScript, Visit

CONFIG: Data = {"task_title": "Rate a sentence", "frontend": {"form": [{"name": "why", "type": "text"}]}}
OWN_TOKEN = "3-9b1f"


class RejectedScript(StaticScript):
    """Rejects what is submitted, and keeps what the worker says to that."""

    objection: str | None = None
    agent = ""

    def __init__(self, items: list[Data]) -> None:
        super().__init__(items)
        self.consent: Data = {"task_run": 4, "task": "Rate a sentence", "is_withdrawn": False, "is_at_work": False}
        self.texts: Mapping[str, object] = {}
        #: Whether a withdrawal is recorded, the first one first.
        self.answers: list[bool] = []

    def admit(self, worker: str) -> Visit | str:
        visit = super().admit(worker)
        assert isinstance(visit, Visit)
        visit.worker_page, self.agent = OWN_TOKEN, visit.token
        return visit

    def appealed(self, visit: Visit, text: str) -> None:
        assert visit.token == self.agent
        self.objection = text

    def worker_page(self, token: str) -> Data | None:
        if token != OWN_TOKEN:
            return None
        appeal = {"status": "open", "objection": self.objection, "answer": None}
        work: Data = {
            "task": "Rate a sentence",
            "unit": 12,
            "agent": self.agent,
            "status": "rejected",
            "started_at": 1_795_290_650.6,
            "submitted_at": 1_795_290_811.0,
            "is_late": False,
            "pay_cents": 30,
            "note": "<b>Too</b> short",
            "payments": [{"purpose": "bonus", "amount_cents": 5, "status": "owed", "reason": "was kind"}],
            "may_appeal": self.objection is None,
            "appeal": None if self.objection is None else appeal,
        }
        return {
            "work": [work],
            "has_more": False,
            "owed_cents": 5,
            "paid_cents": 0,
            "consents": [self.consent],
            "texts": self.texts,
        }

    def consent_withdrawn(self, token: str, run: int) -> None:
        assert (token, run) == (OWN_TOKEN, 4)
        self.consent = {**self.consent, "is_withdrawn": self.answers.pop(0)}


async def test_a_worker_finds_verdict_and_pay_and_objects(harness: BrowserHarness) -> None:
    script = RejectedScript([{"sentence": "Bees return."}])
    async with harness.session([STOCK_PAGE, CLIENT, MOCK_PROVIDER], CONFIG, script) as session:
        page = await session.visitor("ann")
        await page.see("Bees return.")
        await page.press("Submit")
        await page.see("Submitted. Thank you!")
        await page.call("click", "text=Your work, the verdicts on it and your pay")
        await page.see("Rate a sentence · 12")
        await page.see("Your work was reviewed and not accepted.")
        await page.see("<b>Too</b> short")
        await page.see("Paid so far: 0.00. Still to be paid: 0.05.")
        assert await page.barriers() == []
        await page.picture("1-rejected")
        await page.fill("textarea", "One sentence is enough 👋")
        await page.press("Send the objection")
        await page.see("Nobody has answered your objection yet.")
        await page.see("One sentence is enough 👋")
        assert script.objection == "One sentence is enough 👋"
        assert await page.barriers() == []
        await page.visit(f"{session.router.url}/worker_page.html#made-up")
        await page.see("There is no page at this address.")


class ReceiptScript(RejectedScript):
    """Gives receipts: a promise at first, and proofs later."""

    proved = 0

    def admit(self, worker: str) -> Visit | str:
        visit = super().admit(worker)
        assert isinstance(visit, Visit)
        visit.offers_receipts = True
        return visit

    def worker_page(self, token: str) -> Data | None:
        page = super().worker_page(token)
        return None if page is None else {**page, "offers_receipts": True}

    def receipt(self, token: str, agent: str) -> Data | None:
        assert (token, agent) == (OWN_TOKEN, self.agent)
        return {"file": "agent-7.receipt", "text": '{"sentence":"👋"}', "events": 4, "proved": self.proved}


async def test_a_worker_gets_a_receipt_after_the_submission_and_the_verdict(harness: BrowserHarness) -> None:
    script = ReceiptScript([{"sentence": "Bees return."}])
    saved = "fetch(document.querySelector('.receipt a').href).then((answer) => answer.text())"
    async with harness.session([STOCK_PAGE, CLIENT, MOCK_PROVIDER], CONFIG, script) as session:
        page = await session.visitor("ann")
        await page.see("Bees return.")
        await page.press("Submit")
        await page.press("Get a receipt")
        await page.see("Your work is in the records, and this receipt is signed.")
        assert await page.call("evaluate", saved) == '{"sentence":"👋"}'
        assert await page.call("evaluate", "document.querySelector('.receipt a').download") == "agent-7.receipt"
        assert await page.barriers() == []
        script.proved = 4
        await page.call("click", "text=Your work, the verdicts on it and your pay")
        await page.press("Get a receipt")
        await page.see("Your work is in the sealed records")
        assert await page.call("evaluate", saved) == '{"sentence":"👋"}'
        assert await page.barriers() == []


async def test_a_worker_withdraws_their_consent(harness: BrowserHarness) -> None:
    script = RejectedScript([{"sentence": "Bees return."}])
    script.answers = [False, True]
    async with harness.session([STOCK_PAGE, CLIENT, MOCK_PROVIDER], CONFIG, script) as session:
        page = await session.visitor("ann")
        await page.see("Bees return.")
        await page.visit(f"{session.router.url}/worker_page.html#{OWN_TOKEN}")
        await page.press("Withdraw my consent")
        await page.see("This cannot be undone.")
        assert await page.barriers() == []
        await page.press("Keep my consent")
        await page.press("Withdraw my consent")
        await page.press("Yes, withdraw it")
        await page.see("Your consent is not withdrawn. Please try again.")
        await page.press("Yes, withdraw it")
        await page.see("You have withdrawn your consent to “Rate a sentence”.")
        assert await page.barriers() == []
        await page.picture("2-withdrawn")


@one_router
async def test_the_page_is_in_the_language_of_the_run(harness: BrowserHarness) -> None:
    script = RejectedScript([{"sentence": "Bees return."}])
    script.texts = load_texts("ar", {"own.objection": "لماذا؟"}).for_page()
    config = {**CONFIG, **load_texts("ar", {}).for_page()}
    async with harness.session([STOCK_PAGE, CLIENT, MOCK_PROVIDER], config, script) as session:
        page = await session.visitor("ann")
        await page.see("Bees return.")
        await page.visit(f"{session.router.url}/worker_page.html#made-up")
        await page.see(texts_of("ar")["own.unknown"])
        await page.visit(f"{session.router.url}/worker_page.html#{OWN_TOKEN}")
        await page.see("لماذا؟")
        await page.see(texts_of("ar")["withdrawal.ask"])
        assert await page.call("evaluate", "document.documentElement.dir") == "rtl"
        assert await page.barriers() == []
        await page.picture("3-arabic")


async def test_a_page_whose_time_is_up_says_so_before_it_submits(harness: BrowserHarness) -> None:
    async with harness.session([STOCK_PAGE, CLIENT, MOCK_PROVIDER], CONFIG, StaticScript([{"a": 1}])) as session:
        page = await session.visitor("ann")
        await page.see("Submit")
        await page.fill("#field-why", "it is true")
        await session.operator.end("timeout")
        await page.press("Submit")
        await page.see("The time for this task has run out. You can still send your work now.")
        assert session.operator.received("submit_unit") == []
        await page.press("Send it anyway")
        await page.see("Your work came after its time was up.")
        [submission] = await session.operator.packets("submit_unit")
        assert submission.data["final_data"] == {"why": "it is true"}
        await page.visit(session.address("ann"))
        await page.see("Your work came after its time was up.")
        assert await page.text("#form") == ""


async def test_a_page_says_at_the_deadline_that_the_time_is_up(harness: BrowserHarness) -> None:
    class Short(StaticScript):
        """Gives a second for the work."""

        def admit(self, worker: str) -> Visit | str:
            visit = super().admit(worker)
            assert isinstance(visit, Visit)
            visit.seconds_left = 1
            return visit

    async with harness.session([STOCK_PAGE, CLIENT, MOCK_PROVIDER], CONFIG, Short([{"a": 1}])) as session:
        page = await session.visitor("ann")
        await page.see("Submit")
        await session.operator.end("timeout")
        await page.see("The time for this task has run out. You can still send your work now.")
        await page.press("OK")
        await page.press("Submit")
        await page.see("Your work came after its time was up.")


#: Regular questions of the page come a hundred times as often.
HASTE = "const regularly = setInterval; window.setInterval = (ask, ms) => regularly(ask, ms / 100);"


@one_router
async def test_a_page_without_a_connection_is_told_that_its_work_was_taken_away(harness: BrowserHarness) -> None:
    parts = [STOCK_PAGE, CLIENT, MOCK_PROVIDER]
    async with harness.session(parts, CONFIG, StaticScript([{"a": 1}])) as session:
        page = await session.browser.open("ann")
        await page.call("addInitScript", HASTE)
        await page.visit(session.address("ann"))
        await page.see("Submit")
        await session.operator.end("expired")
        await page.see("This task was withdrawn. You can still send your work now.")
        await page.press("OK")
        await page.press("Submit")
        await page.see("Your work came after its time was up.")
