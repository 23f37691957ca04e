"""One effect at a crowd site, which is requested and looked for until it is settled."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from msgspec.structs import replace

from ....events.payment import Answer, Sighting
from ...decisions.settlement import SENDING_STEPS, Attempts, NextStep, Settlement, answer_after, before_step


class SendResult(NamedTuple):
    """A site's answer to a request, as its provider understands it."""

    answer: Answer
    #: The site's id of what was done; None: it gave none.
    reference: str | None = None
    #: The reason for a refusal or failure, without personal values and secrets.
    reason: str = ""
    #: True if the site shows that what it refused has not happened, so that nobody has to look for it.
    is_final: bool = False


class SiteEffect(Protocol):
    """One thing that is to happen at a site once: an approval, a bonus, a study, a message."""

    @property
    def settlement(self) -> Settlement:
        """The rule of its operation at its site."""

    async def send(self, token: str) -> SendResult:
        """Ask the site for it.

        An error that this raises leaves open what happened, as a crash does.

        Args:
            token: an idempotency token, for sites that have them. A repeat of the last request has the same.
        """

    async def look(self) -> Sighting | None:
        """Look for it at the site; None: the site could not be asked."""


async def take_step(effect: SiteEffect, step: NextStep, attempts: Attempts, token: str, now: float) -> Attempts:
    """Take a step and return what is known after it.

    Cancelled, or ended by an error, it leaves what `before_step` returns, which is to be recorded first.

    Args:
        effect: the effect.
        step: one that sends or looks; any other changes nothing.
        attempts: what was known before the step.
        token: a new token for `SEND` and `SEND_NEW_TOKEN`, the last one for `SEND_SAME_TOKEN`.
        now: seconds on the clock of `attempts`.
    """
    recorded = before_step(step, attempts, now)
    if step in SENDING_STEPS:
        result = await effect.send(token)
        return replace(recorded, answer=answer_after(step, attempts, result.answer))
    if step is NextStep.LOOK and (sighting := await effect.look()) is not None:
        return replace(recorded, sighting=sighting, looked_at=now)
    return recorded
