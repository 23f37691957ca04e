"""Requests of people who operate a run: verdicts, bonuses, blocks, payments, and what becomes of the run itself.

They are what the command line, the web view and scripts send to whoever has the log open for writing. A request names
entities and amounts; ids, salts and tokens are added by the process that executes it.
"""

from __future__ import annotations

import msgspec

from ....events.ids import AgentId, AssignmentId, PaymentId, TaskId, TaskRunId, UnitId, WorkerId
from ...abstractions.work_data import InitializationData
from ...commands.review import Verdict
from ...entity_ref import KINDS
from ...ports import Outage
from .round_report import BooksReport, RoundReport


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="request"):
    """Base of all requests."""


class VerdictRequest(Request, frozen=True, kw_only=True, tag="verdict"):
    """Give a verdict on an agent's work."""

    agent: AgentId
    verdict: Verdict
    note: str | None = None
    #: Paid on top of the unit's pay; only for approved work.
    bonus_cents: int = 0
    #: Decide although two reviewers differ.
    adjudicates: bool = False


class OpinionRequest(Request, frozen=True, kw_only=True, tag="opinion"):
    """Say which verdict one would give, and leave it to a second reviewer."""

    agent: AgentId
    verdict: Verdict
    note: str | None = None


class WithdrawVerdictRequest(Request, frozen=True, kw_only=True, tag="withdraw_verdict"):
    """Take back the verdict on an agent's work, as long as nothing is paid for it."""

    agent: AgentId
    reason: str | None = None


class LabelRequest(Request, frozen=True, kw_only=True, tag="label"):
    """Decide the answer to one question about an assignment's data, or take that back."""

    task_run: TaskRunId
    assignment: AssignmentId
    question: str
    #: The answer as JSON; None takes the decision so far back.
    label: str | None
    #: The units whose work was looked at.
    units: tuple[UnitId, ...] = ()
    note: str | None = None
    #: Number of decisions on the question that the author knew.
    after: int = 0
    #: The worker whose words the answer is, so that they are erased with the worker.
    worker: WorkerId | None = None


class AppealRequest(Request, frozen=True, kw_only=True, tag="appeal"):
    """Object to the rejection of an agent's work, in the name of its worker."""

    agent: AgentId
    objection: str


class DismissAppealRequest(Request, frozen=True, kw_only=True, tag="dismiss_appeal"):
    """Answer a worker's objection and let the rejection stand."""

    agent: AgentId
    answer: str


class AcceptLateRequest(Request, frozen=True, kw_only=True, tag="accept_late"):
    """Accept what an agent submitted after its work had ended."""

    agent: AgentId
    note: str | None = None


class BonusRequest(Request, frozen=True, kw_only=True, tag="bonus"):
    """Grant a worker a bonus."""

    worker: WorkerId
    amount_cents: int
    reason: str
    #: A unit that the worker has had; if None, the latest that was approved or waits for review.
    unit: UnitId | None = None


class GrantRequest(Request, frozen=True, kw_only=True, tag="grant"):
    """Grant a worker a qualification, or change its value."""

    worker: WorkerId
    qualification: str
    value: int = 1


class RevokeRequest(Request, frozen=True, kw_only=True, tag="revoke"):
    """Revoke a qualification of a worker."""

    worker: WorkerId
    qualification: str
    reason: str


class BlockRequest(Request, frozen=True, kw_only=True, tag="block"):
    """Give a worker no more work in any run."""

    worker: WorkerId
    reason: str


class UnblockRequest(Request, frozen=True, kw_only=True, tag="unblock"):
    """Allow a blocked worker to work again."""

    worker: WorkerId
    reason: str


class CreateProjectRequest(Request, frozen=True, kw_only=True, tag="create_project"):
    """Create a project, which groups tasks."""

    project: str


class PutInProjectRequest(Request, frozen=True, kw_only=True, tag="put_in_project"):
    """Put a task in a project, which is created if its name is new."""

    task: TaskId
    project: str


class RegisterTaskRequest(Request, frozen=True, kw_only=True, tag="register_task"):
    """Register a task before its first run."""

    task_name: str
    task_type: str


class RegisterRequest(Request, frozen=True, kw_only=True, tag="register"):
    """Register a requester, the account at a provider."""

    requester: str
    provider_type: str


class RegisterWorkerRequest(Request, frozen=True, kw_only=True, tag="register_worker"):
    """Register a worker before the first visit."""

    worker_name: str
    provider_type: str


class CreateQualificationRequest(Request, frozen=True, kw_only=True, tag="create_qualification"):
    """Create a qualification unless there is one of that name."""

    qualification: str


class PayRequest(Request, frozen=True, kw_only=True, tag="pay"):
    """Pay what a run owes, and ask what became of earlier payments."""

    task_run: TaskRunId
    #: Pay nothing but these, and nothing that became owed since they were shown.
    payments: tuple[PaymentId, ...]


class ReconcileRequest(Request, frozen=True, kw_only=True, tag="reconcile"):
    """Compare a run with its crowd site, and remove the differences that can be removed."""

    task_run: TaskRunId
    #: Take in work that was completed at the site, and that no page submitted.
    takes_in: bool = False
    #: Start an offer that somebody has paused at the site.
    starts_offer: bool = False
    #: People who have taken part as the site's pages say, by the site's ids; for sites that show programs no work.
    listed: tuple[str, ...] = ()


class SiteMessageRequest(Request, frozen=True, kw_only=True, tag="site_message"):
    """Have the crowd site pass on a message to the worker of an agent, or ask them to return the work."""

    agent: AgentId
    text: str
    asks_for_return: bool = False
    #: Send it although the same text may have been sent before.
    again: bool = False


class CompareBooksRequest(Request, frozen=True, kw_only=True, tag="compare_books"):
    """Compare what a run has paid with what its crowd site shows."""

    task_run: TaskRunId


class SettleRequest(Request, frozen=True, kw_only=True, tag="settle"):
    """Decide if a worker has been paid, where the provider cannot tell or the payment came by other means."""

    task_run: TaskRunId
    payment: PaymentId
    is_paid: bool
    #: True if it came through the provider, False if by other means; None: the history of the payment tells.
    at_site: bool | None = None
    #: How the author knows, and whether they may correct a decision that they have seen.
    reason: str | None = None
    corrects: bool = False


class PauseRequest(Request, frozen=True, kw_only=True, tag="pause"):
    """Pause a live run."""

    task_run: TaskRunId
    reason: str
    #: Wait until nobody is at work, and give no work to newcomers meanwhile.
    drain: bool = False


class EndRequest(Request, frozen=True, kw_only=True, tag="end"):
    """End a run: wait for the people at work, expire what is open, release its server."""

    task_run: TaskRunId
    reason: str
    #: Take their work from the people at work, instead of waiting for them.
    at_once: bool = False


class RetryRequest(Request, frozen=True, kw_only=True, tag="retry"):
    """Ask a live run's code again about everybody whom it failed on, and give work to newcomers again."""

    task_run: TaskRunId


class WithdrawConsentRequest(Request, frozen=True, kw_only=True, tag="withdraw_consent"):
    """Withdraw a worker's consent to a run: what the worker sent in it is deleted, and what is owed stays owed."""

    task_run: TaskRunId
    worker: WorkerId
    reason: str


class RevokeVerdictsRequest(Request, frozen=True, kw_only=True, tag="revoke_verdicts"):
    """Let what a function of a run's code said against workers not count, because the function was at fault."""

    task_run: TaskRunId
    #: For instance `validate_onboarding`.
    function: str
    reason: str


class RefusalsRequest(Request, frozen=True, kw_only=True, tag="refusals"):
    """Ask what a live run has refused or discarded; this changes nothing."""

    task_run: TaskRunId


class ReopenRequest(Request, frozen=True, kw_only=True, tag="reopen"):
    """Put the expired units of an ended run back, so that it can be resumed."""

    task_run: TaskRunId
    reason: str


class ExtendRequest(Request, frozen=True, kw_only=True, tag="extend"):
    """Give a run more to do, or more to spend. An ended run that gets more to do is reopened."""

    task_run: TaskRunId
    reason: str
    #: Items that follow the run's data. Many are sent in several requests, each of which is an event.
    items: tuple[InitializationData, ...] = ()
    #: Units that each assignment is to have; None: no change.
    units_per_assignment: int | None = None
    changes_budget: bool = False
    #: The new limit of all costs in cents; None: no limit.
    budget_cents: int | None = None


class EraseRequest(Request, frozen=True, kw_only=True, tag="erase"):
    """Delete a worker's name and everything they sent."""

    worker: WorkerId
    #: Recorded in the log, so it names nobody.
    reason: str


class FindRequest(Request, frozen=True, kw_only=True, tag="find"):
    """Find the entity that a text refers to: an id, or the name of a worker at the provider. Changes nothing."""

    text: str
    #: Kinds that fit, of `core.entity_ref.KINDS`.
    kinds: tuple[str, ...] = KINDS


#: Requests about the work of one agent.
ReviewRequest = VerdictRequest | OpinionRequest | WithdrawVerdictRequest | AcceptLateRequest | DismissAppealRequest

#: Requests about what outlives runs.
RecordRequest = (
    CreateProjectRequest
    | PutInProjectRequest
    | RegisterTaskRequest
    | RegisterRequest
    | RegisterWorkerRequest
    | CreateQualificationRequest
)

AnyRequest = (
    VerdictRequest
    | OpinionRequest
    | WithdrawVerdictRequest
    | LabelRequest
    | AppealRequest
    | DismissAppealRequest
    | AcceptLateRequest
    | BonusRequest
    | GrantRequest
    | RevokeRequest
    | BlockRequest
    | UnblockRequest
    | RecordRequest
    | PayRequest
    | ReconcileRequest
    | SiteMessageRequest
    | CompareBooksRequest
    | SettleRequest
    | PauseRequest
    | EndRequest
    | RetryRequest
    | RefusalsRequest
    | RevokeVerdictsRequest
    | WithdrawConsentRequest
    | ReopenRequest
    | ExtendRequest
    | EraseRequest
    | FindRequest
)


class ErasureReport(msgspec.Struct, frozen=True, kw_only=True):
    """Report of an erasure: the `seq` of its event, the number of `payloads` and the `uploads` that were deleted."""

    worker: WorkerId
    seq: int
    payloads: int
    uploads: tuple[str, ...]
    #: Files below the data folder that still contain the worker's name or submissions.
    left: tuple[str, ...]
    #: True if a reader has the log open, and with it a `-wal` file that may contain deleted bytes until it closes.
    held_by_reader: bool
    #: True if the worker had been erased before: only remains were deleted.
    repeated: bool = False
    #: Copies of the log on other machines, or in other folders, that have not confirmed that they deleted the values.
    unconfirmed: tuple[str, ...] = ()
    #: Those of the files that are left that are journals of servers that run: erase the worker again after the run.
    journals_in_use: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """True if nothing of the worker is left in the data folder."""
        return not self.left and not self.held_by_reader


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome of a request; it is durable."""

    #: True if the same request, by its key, had been executed before; nothing happened again.
    repeated: bool = False
    #: Author of the earlier request, if it was somebody else's.
    repeats: str | None = None
    #: Position of the last event; None if there was nothing to do.
    seq: int | None = None
    #: Number of payments that the provider accepted.
    paid: int = 0
    #: True if a verdict was recorded as an opinion only, because another reviewer's is different.
    differs: bool = False
    #: The entity that was found, such as `worker-3`.
    found: str | None = None
    #: Report of the erasure that was requested.
    erasure: ErasureReport | None = None
    #: Status of the run that was changed.
    run_status: str | None = None
    #: The round that was asked for; None: none was, or the provider has no site that can be asked.
    round: RoundReport | None = None
    #: The comparison that was asked for.
    books: BooksReport | None = None
    #: Requests and packets that a live run has refused or discarded, by reason.
    refusals: dict[str, int] = {}
    #: Routers of a live run that are out of reach.
    outages: tuple[Outage, ...] = ()
    #: Number of payloads that were deleted.
    payloads: int = 0
    #: Number of workers whom the request concerned.
    workers: int = 0
