"""Verifies requests of a provider's site, and records that something has happened there.

The operator hands over the key. A request proves by its signature that it comes from the site, and by the signed time
that it is not an old one sent again; what it says beyond its id is discarded, because the operator asks the site
itself.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping

from ..counters import Counters
from ..errors import RefusalError
from ..journal.journal import Journal
from ..json_text import raw
from ..packets import MEPHISTO, PacketFactory, WebhookTerms

#: A request that was signed longer ago may be a recorded one that somebody sends again.
MAX_AGE_SECONDS = 300
#: Clocks differ: so far in the future a request may have been signed.
MAX_AHEAD_SECONDS = 60
MAX_BODY_BYTES = 64 * 2**10
MAX_EVENT_ID_LENGTH = 200
#: Ids of events that are remembered, so that one that comes again is not recorded again.
MAX_REMEMBERED = 1000

_TIMESTAMP = re.compile(r"\d{1,12}(?:\.\d{1,6})?", re.ASCII)
_EVENT_ID = re.compile(rf"[!-~]{{1,{MAX_EVENT_ID_LENGTH}}}")


class Webhooks:
    """The webhooks of one run's site.

    Args:
        journal: keeps what has happened until the operator has it.
        packets: makes packets.
        counters: counts what is refused.
    """

    def __init__(self, journal: Journal, packets: PacketFactory, counters: Counters) -> None:
        self._journal = journal
        self._packets = packets
        self._counters = counters
        self._terms: WebhookTerms | None = None
        #: Ids of events, the latest last.
        self._remembered: dict[str, None] = {}

    def expect(self, terms: WebhookTerms) -> None:
        """Accept requests that are signed under some terms, in place of earlier ones."""
        self._terms = terms

    def forget(self) -> None:
        """Accept nothing more."""
        self._terms = None

    async def record(self, headers: Mapping[str, str], body: bytes) -> None:
        """Record an event of the site; return when it is durable. One that comes again is not recorded again.

        Args:
            headers: the request's headers, names in lower case.
            body: the bytes that arrived.

        Raises:
            RefusalError: the request is not believed; nothing was recorded, nor with the errors of `Journal.record`.
        """
        event = self._verify(headers, body)
        if event in self._remembered:
            return
        await self._journal.record(self._packets.from_worker("provider_event", MEPHISTO, raw({"event_id": event})))
        self._remembered[event] = None
        if len(self._remembered) > MAX_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]

    def _verify(self, headers: Mapping[str, str], body: bytes) -> str:
        """Return the id of the event that a request reports."""
        terms = self._terms
        if terms is None:
            raise self._refusal(404, "There are no webhooks here.")
        if len(body) > MAX_BODY_BYTES:
            raise self._refusal(413, f"The body is too large: it may have {MAX_BODY_BYTES} bytes.")
        timestamp = headers.get(terms.timestamp_header, "")
        if not _TIMESTAMP.fullmatch(timestamp):
            raise self._refusal(403, "The request has no signed time.")
        digest = hmac.new(terms.secret.encode(), timestamp.encode() + body, hashlib.sha256).digest()
        offered = headers.get(terms.signature_header, "").encode(errors="replace")
        if not hmac.compare_digest(base64.b64encode(digest), offered):
            raise self._refusal(403, "The signature is wrong.")
        if not -MAX_AHEAD_SECONDS <= self._packets.now() - float(timestamp) <= MAX_AGE_SECONDS:
            raise self._refusal(403, "The request was not signed just now.")
        event = headers.get(terms.event_header, "")
        if not _EVENT_ID.fullmatch(event):
            raise self._refusal(400, "The request has no id of its event.")
        return event

    def _refusal(self, status: int, sentence: str) -> RefusalError:
        self._counters.drop("refused_webhook")
        return RefusalError(status, sentence)
