"""Values within the packets between router and operator: who asks, what was uploaded, whose pages, receipts."""

from __future__ import annotations

from typing import Annotated

import msgspec

#: A name as a provider's page gives it: 1 to 255 characters, not only spaces, without control characters.
ProviderName = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"\A(?=[^\x00-\x1f\x7f-\x9f]+\Z).*\S")]


class ConsentAnswer(msgspec.Struct, frozen=True):
    """The answer of a worker to the question for consent."""

    #: Version of the text that the page showed.
    version: Annotated[str, msgspec.Meta(max_length=100)]
    given: bool


class ProviderData(msgspec.Struct, frozen=True):
    """Facts about a worker, from the provider's page."""

    worker_name: ProviderName
    agent_registration_id: ProviderName
    assignment_id: str | None = None
    provider_type: str | None = None
    #: The provider's ids of the work and of its study; approvals and payments there go to them.
    provider_handle: ProviderName | None = None
    provider_study: ProviderName | None = None
    #: A proof that the page may be let in, for instance a signed invitation; only the provider can read it.
    provider_proof: Annotated[str, msgspec.Meta(max_length=2000)] | None = None
    #: An unguessable text that the browser keeps, so that a pass is used by one browser only.
    provider_session: ProviderName | None = None
    #: The answer to the question for consent, once the page has asked it.
    consent: ConsentAnswer | None = None


class PageReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt for one piece of work, as a file that the worker keeps."""

    #: Name of the file.
    file: str
    #: Contents of the file.
    text: str
    #: Events in it.
    events: int
    #: Events of which it has a proof; the others are promised.
    proved: int


class UploadedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file as the router stored it."""

    fieldname: str
    originalname: str
    mimetype: str
    filename: str
    size: int
    sha256: str


class SubmitAppealData(msgspec.Struct, frozen=True):
    """An objection to a rejection."""

    text: str


class RequestWorkerPageData(msgspec.Struct, frozen=True):
    """A request for the contents of a worker's own page."""

    request_id: str
    #: The token in the page's address.
    worker_page: str
    #: A run; the worker withdraws the consent to it first.
    withdraw_consent: int | None = None
    #: The token of an agent; the worker wants a receipt of that work.
    receipt: str | None = None


class WorkerPageDetailsData(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a worker who opened their own page."""

    request_id: str
    #: What the page shows, see `core.operations.services.worker_page`; null: there is no such page.
    page: msgspec.Raw = msgspec.Raw(b"null")
    #: The receipt that was asked for, see `PageReceipt`; null: there is none.
    receipt: msgspec.Raw = msgspec.Raw(b"null")


class WorkerProgress(msgspec.Struct, frozen=True):
    """The place of a unit among those that its worker may have in the run."""

    #: 1, 2, 3 ...
    unit: int
    #: Units that the worker may have at most; None: there is no limit.
    of: int | None


class PagesData(msgspec.Struct, frozen=True):
    """Agents, by token."""

    agents: list[str]


class PausingData(msgspec.Struct, frozen=True):
    """Text for pages that request work while the operator is away."""

    failure_reason: str


class WebhookKey(msgspec.Struct, frozen=True):
    """Key and headers by which a router recognizes requests of the provider's site.

    A request is signed with the base64 of the HMAC-SHA256 over the text of its time and its body.
    """

    #: The site's key for this. Nobody else may read it.
    secret: str
    #: Names in lower case.
    signature_header: str
    #: Seconds since the epoch.
    timestamp_header: str
    #: The same for each delivery of an event.
    event_header: str

    def __repr__(self) -> str:
        """Return a text without the key."""
        return f"WebhookKey({self.signature_header!r})"


class AliveData(msgspec.Struct, frozen=True):
    """The proof that we are the operator, and what we have of the router's outbox."""

    token: str
    incarnation: str | None = None
    acked: int = 0
    #: The run, for a router on another machine, which belongs to one run at a time.
    run: str | None = None


class AgentsData(msgspec.Struct, frozen=True):
    """The status of every agent the router has to know, by token."""

    agents: dict[str, str]
