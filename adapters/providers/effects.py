"""Turns calls to a site into effects: its errors become answers, one for each kind of knowledge."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import trio
from msgspec.structs import replace

from ...core.abstractions.crowd.effects import SendResult
from ...core.decisions.settlement import SENDING_STEPS, Attempts, NextStep, Settlement, before_step, next_step
from ...events.payment import Answer, Sighting
from .api.errors import (
    EffectUnknownError,
    SiteError,
    SiteRefusedError,
    SiteThrottledError,
    SiteUnavailableError,
    SiteUnreachableError,
)

#: Seconds between two looks for something whose creation was not answered.
LOOK_AGAIN_SECONDS = 2.0
#: Attempts at what can be asked for any number of times.
MAX_ATTEMPTS = 4


class SiteCalls(Protocol):
    """The calls that ask a site for one effect, and look for it."""

    @property
    def settlement(self) -> Settlement:
        """The rule of the operation at its site."""

    async def send(self, token: str) -> None:
        """Ask the site for it.

        Args:
            token: an idempotency token, for sites that have them.

        Raises:
            SiteError: the subclass says what is known of the effect.
        """

    async def look(self) -> Sighting:
        """Look for it at the site.

        Raises:
            SiteError: the site could not be asked.
        """


class CalledEffect:
    """An effect made of calls to a site."""

    def __init__(self, calls: SiteCalls) -> None:
        self._calls = calls

    @property
    def settlement(self) -> Settlement:
        """The rule of the operation at its site."""
        return self._calls.settlement

    async def send(self, token: str) -> SendResult:
        """Ask the site for it."""
        try:
            await self._calls.send(token)
        except SiteError as error:
            is_final = isinstance(error, SiteRefusedError) and error.is_final
            return SendResult(answer_of(error), reason=str(error), is_final=is_final)
        return SendResult(Answer.DONE)

    async def look(self) -> Sighting | None:
        """Look for it at the site; None: the site could not be asked."""
        try:
            return await self._calls.look()
        except SiteError:
            return None


class CalledPayment(CalledEffect):
    """A payment that needs no preparation."""

    async def set_up(self) -> str | None:
        """Prepare nothing."""
        return None


async def repeated(call: Callable[[], Awaitable[None]]) -> None:
    """Make a call that reads the site before it changes anything, again if its answer is lost.

    Raises:
        SiteError: the site refuses, or the answers to all attempts are lost.
    """
    for _ in range(MAX_ATTEMPTS - 1):
        try:
            return await call()
        except (EffectUnknownError, SiteThrottledError, SiteUnavailableError):
            await trio.sleep(LOOK_AGAIN_SECONDS)
    return await call()


async def bring_about(calls: SiteCalls, *, was_sent: bool) -> None:
    """Request something and look for it until it is there.

    A request whose answer is lost is repeated once the site's lists would show what it made.

    Args:
        calls: the calls for it.
        was_sent: True if an earlier process may have requested it.

    Raises:
        SiteError: the site refuses, or cannot be asked.
    """
    attempts = Attempts()
    if was_sent:
        attempts = before_step(NextStep.SEND, attempts, trio.current_time())
    failure: SiteError | None = None
    while True:
        step = next_step(calls.settlement, attempts, trio.current_time())
        if step in SENDING_STEPS:
            attempts = before_step(step, attempts, trio.current_time())
            try:
                await calls.send("")
            except (SiteRefusedError, SiteUnreachableError):
                raise
            except SiteError as error:
                failure, attempts = error, replace(attempts, answer=answer_of(error))
            else:
                return
        elif step in {NextStep.LOOK, NextStep.WAIT}:
            if step is NextStep.WAIT:
                await trio.sleep(LOOK_AGAIN_SECONDS)
            if await calls.look() is Sighting.THERE:
                return
            attempts = replace(attempts, sighting=Sighting.NOT_THERE, looked_at=trio.current_time())
        else:
            raise failure or LookupError(f"nothing can be brought about by {step.value}")


def answer_of(error: SiteError) -> Answer:
    """Return what an error tells about the effect."""
    match error:
        case SiteUnreachableError():
            return Answer.NOT_SENT
        case SiteThrottledError():
            return Answer.THROTTLED
        case SiteRefusedError():
            return Answer.REFUSED
        case EffectUnknownError():
            return Answer.UNKNOWN
        case _:
            return Answer.UNKNOWN
