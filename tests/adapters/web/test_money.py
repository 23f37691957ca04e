"""The money page: what is owed and paid, paying after a look at the amounts, and payments in doubt."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from mephisto_es.adapters.log.sqlite.as_of import open_as_of
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.web.access import Role
from mephisto_es.core.ports import AppendRequest, NewEvent
from mephisto_es.events import streams
from mephisto_es.events.payment import (
    Answer,
    PaymentEvent,
    PaymentFailed,
    PaymentInDoubt,
    PaymentIntended,
    PaymentRequested,
)
from mephisto_es.projections.queries.money.pay_ledger import pay_ledger
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import RUN
from .visitor import Visitor, words_of

MONEY = f"/runs/{RUN}/money"
ALL = f"/runs/{RUN}/review/all"


def form_of(page: httpx.Response) -> dict[str, str]:
    """Return the hidden fields of the page."""
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text))


async def approve_all(visitor: Visitor) -> int:
    """Approve all work; return how much there was."""
    page = await visitor.get(ALL)
    form = form_of(page)
    await visitor.post(ALL, form)
    return int(form["count"])


def confirmed(database: Path) -> int:
    """Return the number of payments that have arrived."""
    with open_as_of(database) as moment:
        return sum(payment.status == "confirmed" for payment in pay_ledger(moment, RUN).payments)


async def test_what_is_owed_is_paid_after_a_look_at_it(visitor: Visitor, database: Path) -> None:
    assert "Nothing is owed to anybody." in await visitor.read(MONEY)
    count = await approve_all(visitor)
    page = await visitor.get(MONEY)
    said = words_of(page)
    assert f"{count:,} payments to" in said
    form = form_of(page)
    assert form["count"] == str(count)
    refused = await visitor.post(MONEY, form, status=400)
    assert "say first that you have checked the amounts" in words_of(refused)
    refused = await visitor.post(MONEY, {**form, "checked": "1", "cents": "1"}, status=409)
    assert f"Nothing was paid: meanwhile {count:,} payments are due" in words_of(refused)
    assert confirmed(database) == 0
    page = await visitor.post(MONEY, {**form, "checked": "1"})
    said = words_of(page)
    assert "The payments were ordered" in said
    assert "0 payments to 0 workers" in said
    assert confirmed(database) == count
    # The verdicts on paid work stay.
    unit = (await visitor.get(f"/runs/{RUN}/review/desk?status=accepted")).text
    agent = re.findall(r'name="undo" value="(\d+)"', unit)[0]
    undo = {"form_token": form["form_token"], "undo": agent, "unit": "1"}
    refused = await visitor.post(f"/runs/{RUN}/review/desk?status=accepted", undo, status=409)
    assert "for it is already confirmed" in words_of(refused)


def lose_an_answer(database: Path, *after: PaymentEvent, reason: str = "") -> None:
    """Record that a provider was asked for the first payment, that the answer was lost, and what happened then."""
    stream = ""
    with closing(sqlite3.connect(database)) as db:
        (stream,) = db.execute("SELECT stream FROM events WHERE stream LIKE 'payment/%' ORDER BY seq").fetchone()
        (at,) = db.execute("SELECT max(at) FROM events").fetchone()
    steps = (
        PaymentIntended(token="t"),
        PaymentRequested(token="t"),
        PaymentInDoubt(answer=Answer.UNKNOWN, reason=reason),
    )
    events = tuple(NewEvent(stream, step) for step in (*steps, *after))
    assert streams.parse(stream)[0] == "payment"
    with SqliteLog.create_or_open(database, PROJECTIONS) as log:
        log.commit([AppendRequest(command="lost", actor="operator", at=at + 1, events=events)])


async def test_a_person_says_what_became_of_a_payment_in_doubt(visitor: Visitor, database: Path) -> None:
    await approve_all(visitor)
    visitor.log.close()
    lose_an_answer(database)
    page = await visitor.get(MONEY)
    assert "1 payments may have been made" in words_of(page)
    (payment,) = re.findall(r'name="settle" value="(\d+)"', page.text)
    settle = {"form_token": form_of(page)["form_token"], "settle": payment, "decided": "paid"}
    refused = await visitor.post(MONEY, settle, status=400)
    assert "say how you know" in words_of(refused)
    await visitor.post(MONEY, {**settle, "decided": "perhaps", "reason": "x"}, status=400)
    page = await visitor.post(MONEY, {**settle, "reason": "it is on the account"})
    assert "Your decision is recorded." in words_of(page)
    assert "0 payments may have been made" in words_of(page)
    refused = await visitor.post(MONEY, {**settle, "reason": "once more"}, status=409)
    assert "This was refused" in words_of(refused)


@pytest.mark.parametrize(
    ("after", "said", "advice"),
    [
        ((), ": no code was entered", "Paying again looks first"),
        ((PaymentFailed(reason="still no code"),), ": still no code", "Remove the cause and pay again"),
    ],
)
async def test_what_holds_a_payment_up_is_said_with_what_to_do(
    after: tuple[PaymentEvent, ...], said: str, advice: str, visitor: Visitor, database: Path
) -> None:
    await approve_all(visitor)
    visitor.log.close()
    lose_an_answer(database, *after, reason="no code was entered")
    page = words_of(await visitor.get(MONEY))
    # Beside what to do about it, and in the table of payments.
    assert page.count(said) == 2
    assert advice in page


@pytest.mark.parametrize("role", [Role.VIEW, Role.REVIEW])
async def test_only_those_who_may_pay_do(reviewers: Visitor, role: Role) -> None:
    await reviewers.post("/login", {"token": "token of pay", "next": "/"})
    await approve_all(reviewers)
    await reviewers.post("/login", {"token": f"token of {role.value}", "next": "/"})
    page = await reviewers.get(MONEY)
    assert "You may look at this, but not pay." in words_of(page)
    (token,) = set(re.findall(r'name="form_token" value="(\w+)"', page.text))
    await reviewers.post(MONEY, {"form_token": token, "checked": "1", "count": "1", "cents": "1"}, status=403)
