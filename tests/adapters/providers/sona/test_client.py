"""The client of SONA against its fake, over HTTP."""

from __future__ import annotations

import logging

import httpx
import pytest

from mephisto_es.adapters.fakes.faults import Fault
from mephisto_es.adapters.fakes.sona.guesses import SonaGuess
from mephisto_es.adapters.providers.api.errors import EffectUnknownError, SiteThrottledError, SiteUnavailableError
from mephisto_es.adapters.providers.sona.answer import CreditAnswer
from mephisto_es.adapters.providers.sona.client import SonaClient
from mephisto_es.adapters.providers.sona.study import CodeRefusedError, read_survey_code

from ..fake_sites import IMPATIENT, Sona, open_sona

WEEK = 7 * 24 * 3600


def granted(stage: Sona) -> dict[str, str]:
    return {one.student: one.status for one in stage.site.sign_ups if one.student != "researcher"}


@pytest.mark.parametrize("flipped", [None, *SonaGuess], ids=str)
async def test_each_answer_with_each_guess_either_way(flipped: SonaGuess | None) -> None:
    names = [flipped.name] if flipped else []
    async with open_sona(*names) as stage:
        anna, bert = await stage.code("anna"), await stage.code("bert")
        assert read_survey_code([anna]) == anna
        assert await stage.client.check() is CreditAnswer.CODE_MISSING
        assert await stage.client.grant(anna) is CreditAnswer.GRANTED
        assert await stage.client.grant(anna) is CreditAnswer.ALREADY_RECEIVED
        assert await stage.client.grant("7654321") is CreditAnswer.CODE_UNKNOWN
        researcher = next(one.code for one in stage.site.sign_ups if one.student == "researcher")
        assert await stage.client.grant(researcher) is CreditAnswer.NOT_A_PARTICIPANT
        async with httpx.AsyncClient(base_url=stage.url, trust_env=False) as admin:
            no_show = {"no_show": f"{stage.study.experiment_id}/bert"}
            assert (await admin.post("/fake/settings", json=no_show)).status_code == 204
        assert await stage.client.grant(bert) is CreditAnswer.NOT_ELIGIBLE
        cleo = await stage.code("cleo")
        stage.site.clock.advance(2 * WEEK)
        late = CreditAnswer.OTHER if flipped is SonaGuess.LATE_CREDIT_IS_REFUSED else CreditAnswer.GRANTED
        assert await stage.client.grant(cleo) is late
    async with open_sona(*names, token="0" * 28) as stage:
        assert await stage.client.grant(await stage.code("anna")) is CreditAnswer.WRONG_STUDY
        blank_first = flipped is SonaGuess.CODE_IS_LOOKED_AT_FIRST
        assert await stage.client.check() is (CreditAnswer.CODE_MISSING if blank_first else CreditAnswer.WRONG_STUDY)


@pytest.mark.parametrize(
    ("fault", "then"),
    [
        (Fault.LOST_BEFORE, CreditAnswer.GRANTED),
        (Fault.LOST_AFTER, CreditAnswer.ALREADY_RECEIVED),
        (Fault.FAILED_BEFORE, CreditAnswer.GRANTED),
        (Fault.FAILED_AFTER, CreditAnswer.ALREADY_RECEIVED),
    ],
)
async def test_credit_is_granted_once_however_often_it_is_asked_for(fault: Fault, then: CreditAnswer) -> None:
    async with open_sona() as stage:
        code = await stage.code("anna")
        stage.disturb(fault)
        with pytest.raises(EffectUnknownError):
            await stage.client.grant(code)
        assert await stage.client.grant(code) is then
        assert granted(stage) == {"anna": "Granted"}


async def test_a_busy_site_is_asked_again() -> None:
    async with open_sona() as stage:
        code = await stage.code("anna")
        stage.disturb(Fault.THROTTLED, Fault.THROTTLED)
        assert await stage.client.grant(code) is CreditAnswer.GRANTED
        stage.disturb(*[Fault.THROTTLED] * 99)
        async with SonaClient(stage.study, lambda: 0.0, limits=IMPATIENT) as client:
            with pytest.raises(SiteThrottledError):
                await client.grant(code)


async def test_a_page_about_maintenance_is_no_answer() -> None:
    async with open_sona() as stage:
        code = await stage.code("anna")
        stage.site.maintenance_calls = 1
        with pytest.raises(EffectUnknownError):
            await stage.client.grant(code)
        assert await stage.client.grant(code) is CreditAnswer.GRANTED
        stage.site.maintenance_calls = 100
        async with SonaClient(stage.study, lambda: 0.0, limits=IMPATIENT) as client:
            with pytest.raises(SiteUnavailableError):
                await client.check()


async def test_the_call_is_a_get_and_nothing_else() -> None:
    async with open_sona() as stage, httpx.AsyncClient(base_url=stage.url, trust_env=False) as browser:
        code = await stage.code("anna")
        address = stage.study.browser_url(code)
        server = address.replace("/webstudy_credit.aspx", "/services/SonaAPI.svc/WebstudyCredit")
        assert (await browser.post(server)).status_code == 405
        assert granted(stage) == {"anna": "Awaiting"}
        assert "successfully granted" in (await browser.get(address)).text
        assert await stage.client.grant(code) is CreditAnswer.ALREADY_RECEIVED


async def test_places_end_and_the_deadline_is_in_a_zone() -> None:
    """The fake begins on 2026-11-02 at 09:00 UTC; the slot ends seven days later at 09:00, five hours behind."""
    for flipped, hours_later in (([], 5), (["deadlines_are_utc"], 0)):
        async with open_sona(*flipped) as stage:
            stage.site.clock.advance(WEEK + hours_later * 3600 - 60)
            await stage.code("anna")
            stage.site.clock.advance(120)
            with pytest.raises(AssertionError, match="over"):
                await stage.code("bert")


async def test_one_code_for_all_studies_or_one_for_each() -> None:
    for flipped in ([], ["one_code_for_all_studies"]):
        async with open_sona(*flipped) as stage:
            other = stage.site.add_study("Another", "https://b.example/?id=%SURVEY_CODE%", 5, "2026-11-30 12:00")
            code = await stage.code("anna")
            assert (stage.site.sign_up(other, "anna").code == code) == bool(flipped)
            assert await stage.client.grant(code) is CreditAnswer.GRANTED
            assert [one.status for one in stage.site.sign_ups if one.student == "anna"] == ["Granted", "Awaiting"]


async def test_the_address_of_the_page_carries_the_code() -> None:
    async with open_sona() as stage, httpx.AsyncClient(base_url=stage.url, trust_env=False) as browser:
        code = await stage.code("anna")
        browser.cookies.set("fake_person", "anna")
        assert f"https://tasks.example/?id={code}" in (await browser.get("/")).text
        with pytest.raises(CodeRefusedError):
            read_survey_code(["%SURVEY_CODE%"])


async def test_the_token_is_in_no_error_and_no_log_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with open_sona() as stage:
        code = await stage.code("anna")
        stage.disturb(Fault.LOST_BEFORE, Fault.FAILED_BEFORE)
        texts = [repr(stage.study), str(stage.client)]
        for _ in range(2):
            with pytest.raises(EffectUnknownError) as caught:
                await stage.client.grant(code)
            texts.append(f"{caught.value!r} {vars(caught.value)}")
        await stage.client.grant(code)
        away = stage.study._replace(site_url="http://127.0.0.1:9")
        async with SonaClient(away, lambda: 0.0, limits=IMPATIENT) as client:
            with pytest.raises(Exception, match="did not reach") as failed:
                await client.grant(code)
            texts.append(f"{failed.value!r} {failed.value.__cause__!r}")
        for text in (*texts, caplog.text):
            assert stage.study.credit_token not in text
            assert "credit_token=" not in text.replace("credit_token=<redacted>", "")
