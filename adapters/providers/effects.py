"""Carries one effect at a site to a settled end, step by step: what to ask next is decided in `settlement`.

A provider represents each order as a `SiteEffect`, which can be requested and looked for. The caller records what is
known before and after each step; a crash between the two leaves an unknown answer.
"""

from __future__ import annotations

from typing import Protocol

from msgspec.structs import replace

from .api.errors import (
    EffectUnknownError,
    SiteError,
    SiteRefusedError,
    SiteThrottledError,
    SiteUnreachableError,
)
from .settlement import SENDING_STEPS, Answer, Attempts, NextStep, Settlement, Sighting


class SiteEffect(Protocol):
    """One thing that is to happen at a site once: an approval, a bonus, a study, a message."""

    @property
    def settlement(self) -> Settlement:
        """The rule of its operation at its site."""

    async def send(self, token: str) -> None:
        """Ask the site for it.

        Args:
            token: an idempotency token, for sites that have them. A repeat of the last request has the same.

        Raises:
            SiteError: the subclass says what is known of the effect.
        """

    async def look(self) -> Sighting:
        """Look for it at the site.

        Raises:
            SiteError: the site could not be asked.
        """


def before_step(step: NextStep, attempts: Attempts, now: float) -> Attempts:
    """Return what is to be recorded before a step is taken: if nothing follows, the answer is unknown.

    Args:
        step: the step.
        attempts: what is known.
        now: seconds on the clock of `attempts`.
    """
    if step not in SENDING_STEPS:
        return attempts
    keeps_token = step is NextStep.SEND_SAME_TOKEN and attempts.token_since is not None
    return Attempts(answer=Answer.UNKNOWN, token_since=attempts.token_since if keeps_token else now, sent_at=now)


async def take_step(effect: SiteEffect, step: NextStep, recorded: Attempts, token: str, now: float) -> Attempts:
    """Take a step and return what is known after it.

    Cancelled, or ended by an error of ours, it leaves `recorded` as what is known.

    Args:
        effect: the effect.
        step: one that sends or looks; any other changes nothing.
        recorded: what `before_step` returned, recorded by now.
        token: a new token for `SEND` and `SEND_NEW_TOKEN`, the last one for `SEND_SAME_TOKEN`.
        now: seconds on the clock of `recorded`.
    """
    if step in SENDING_STEPS:
        return replace(recorded, answer=await _answer(effect, step, token))
    if step is NextStep.LOOK:
        try:
            sighting = await effect.look()
        except SiteError:
            return recorded  # nobody has seen anything; look again later
        return replace(recorded, sighting=sighting, looked_at=now)
    return recorded


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


async def _answer(effect: SiteEffect, step: NextStep, token: str) -> Answer:
    try:
        await effect.send(token)
    except SiteError as error:
        answer = answer_of(error)
    else:
        return Answer.DONE
    if step is NextStep.SEND_SAME_TOKEN:
        # A refusal of a repeated token says that the first request was seen, and an unreachable site says nothing new.
        if answer is Answer.REFUSED:
            return Answer.TOKEN_SEEN
        if answer is Answer.NOT_SENT:
            return Answer.UNKNOWN
    return answer
