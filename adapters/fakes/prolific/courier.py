"""Sends a fake Prolific's webhooks: signed, at least once, and if wanted doubled, out of order or with an old stamp."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
import trio

from ..clock import FakeClock, iso_time
from ..guesses import Guesses
from .books import FakeHook, ProlificBooks
from .documents import WireEvent
from .guesses import ProlificGuess

#: Sends a request: address, body, headers; the status of the answer, or None if there was none.
Post = Callable[[str, bytes, dict[str, str]], Awaitable[int | None]]

HOUR_SECONDS = 3600
FIRST_DELAY_SECONDS = 30
#: A stale delivery was signed so long ago.
STALE_SECONDS = 2 * HOUR_SECONDS
MAX_SLEEP_SECONDS = 3600.0


@dataclass
class Habits:
    """Ways in which deliveries are less than ideal."""

    is_doubled: bool = False
    is_out_of_order: bool = False
    is_stale: bool = False


@dataclass
class _Delivery:
    event_id: str
    hook: FakeHook
    event: WireEvent
    happened_at: float
    due_at: float
    first_tried_at: float | None = None
    attempts: int = 0


class Courier:
    """Queues events for subscriptions and delivers them."""

    def __init__(self, books: ProlificBooks, clock: FakeClock, guesses: Guesses[ProlificGuess]) -> None:
        """Take the parts; see `StudyRules`."""
        self._books = books
        self._clock = clock
        self._guesses = guesses
        self._queue: list[_Delivery] = []
        self._woken = trio.Event()
        self.habits = Habits()

    def announce(self, event_type: str, resource_id: str, status: str | None) -> None:
        """Queue an event for everyone who has subscribed to it."""
        submission = self._books.submissions.get(resource_id)
        event = WireEvent(resource_id, event_type, submission.participant if submission else None, status)
        now = self._clock.now()
        for hook in self._books.hooks.values():
            if hook.is_enabled and hook.event_type == event_type:
                event_id = self._books.new_id()
                copies = 2 if self.habits.is_doubled else 1
                self._queue += [_Delivery(event_id, hook, event, now, now) for _ in range(copies)]
        self.wake()

    def wake(self) -> None:
        """Look at the queue again: something is in it, or the clock was moved."""
        self._woken.set()
        self._woken = trio.Event()

    async def run(self, post: Post) -> None:
        """Deliver until cancelled."""
        while True:
            woken = self._woken
            await self.deliver_due(post)
            if woken.is_set():
                continue
            next_due = min((delivery.due_at for delivery in self._queue), default=None)
            wait = MAX_SLEEP_SECONDS if next_due is None else max(0.0, next_due - self._clock.now())
            with trio.move_on_after(min(wait, MAX_SLEEP_SECONDS)):
                await woken.wait()

    async def deliver_due(self, post: Post) -> int:
        """Deliver everything that is due, once each; the number of requests that were sent."""
        now = self._clock.now()
        due = [delivery for delivery in self._queue if delivery.due_at <= now]
        self._queue = [delivery for delivery in self._queue if delivery.due_at > now]
        if self.habits.is_out_of_order:
            due.reverse()
        for delivery in due:
            await self._deliver(delivery, post)
        return len(due)

    async def _deliver(self, delivery: _Delivery, post: Post) -> None:
        now = self._clock.now()
        delivery.attempts += 1
        delivery.first_tried_at = delivery.first_tried_at or now
        body = msgspec.json.encode(delivery.event)
        stamp = str(int(now - (STALE_SECONDS if self.habits.is_stale else 0)))
        status = await post(
            delivery.hook.target_url,
            body,
            {
                "content-type": "application/json",
                "x-prolific-request-timestamp": stamp,
                "x-prolific-request-signature": self._signature(stamp, body),
                "x-event-id": delivery.event_id,
                "x-timestamp": iso_time(delivery.happened_at),
            },
        )
        is_delivered = status is not None and 200 <= status < 300
        word = "SUCCEEDED" if is_delivered else "FAILED"
        delivery.hook.deliveries.append((delivery.event_id, delivery.event.resource_id, word))
        if not is_delivered:
            self._retry(delivery, now)

    def _retry(self, delivery: _Delivery, now: float) -> None:
        is_long = self._guesses.is_flipped(ProlificGuess.WEBHOOKS_ARE_TRIED_13_TIMES)
        attempts, hours = (13, 48) if is_long else (12, 24)
        delay = self._books.uniform(FIRST_DELAY_SECONDS * 2.0**delivery.attempts)
        first = delivery.first_tried_at or now
        if delivery.attempts < attempts and now + delay <= first + hours * HOUR_SECONDS:
            delivery.due_at = now + delay
            self._queue.append(delivery)

    def _signature(self, stamp: str, body: bytes) -> str:
        """Sign timestamp and body with the workspace's secret (`webhooks/verifying`)."""
        secret = (self._books.hook_secret or "").encode()
        return base64.b64encode(hmac.new(secret, stamp.encode() + body, hashlib.sha256).digest()).decode()
