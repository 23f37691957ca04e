"""Executes requests on the ledger, for an operator or for a process that has the log open in its place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, assert_never

from msgspec.structs import replace

from ....events.agent import AgentOpinionGiven
from ....events.ids import AgentId, TaskRunId, WorkerId
from ....events.streams import agent as agent_stream
from ....events.streams import task_run as task_run_stream
from ....events.task_run import TaskRunCreated
from ...abstractions.crowd.payments import payer_of
from ...abstractions.crowd.site_work import SiteWork
from ...abstractions.crowd_provider import CrowdProvider
from ...commands.review import Verdict
from ...decisions.task_run import check_pause
from ...entity_ref import find_entity
from ...errors import CommandRefusedError
from ...ledger import Ledger
from ...lifecycles.task_run import TaskRunStatus
from ...ports import AppendResult, Ids, Outage
from ..registry import get_crowd_provider_from_type, get_valid_provider_types
from ..services.consents import WithdrawConsentData, withdrawer_in_log
from ..services.directory import Directory
from ..services.missed_work import MissedWork, listed_work
from ..services.paymaster import Paymaster
from ..services.reconciler import Reconciler
from ..services.reconciling.site_books import compare_books, with_money
from ..services.reviewer import Reviewer
from ..services.verdict_revoker import VerdictRevoker
from .label_decision import record_label
from .requests import (
    AcceptLateRequest,
    AnyRequest,
    AppealRequest,
    BlockRequest,
    BonusRequest,
    CompareBooksRequest,
    CreateProjectRequest,
    CreateQualificationRequest,
    DismissAppealRequest,
    EndRequest,
    EraseRequest,
    ErasureReport,
    ExtendRequest,
    FindRequest,
    GrantRequest,
    LabelRequest,
    OpinionRequest,
    PauseRequest,
    PayRequest,
    PutInProjectRequest,
    ReconcileRequest,
    RecordRequest,
    RefusalsRequest,
    RegisterRequest,
    RegisterTaskRequest,
    RegisterWorkerRequest,
    ReopenRequest,
    Reply,
    RetryRequest,
    RevokeRequest,
    RevokeVerdictsRequest,
    SettleRequest,
    SiteMessageRequest,
    UnblockRequest,
    VerdictRequest,
    WithdrawConsentRequest,
    WithdrawVerdictRequest,
)
from .round_report import RoundReport
from .run_extension import RunExtension
from .site_messages import SiteMessages, provider_code
from .state_lookup import StateLookup

#: Opens the crowd provider of a run.
OpenProvider = Callable[[TaskRunId], AbstractAsyncContextManager[CrowdProvider]]
#: Deletes a worker's data, for a reason, in the name of an author.
EraseWorkerData = Callable[[WorkerId, str, str], Awaitable[ErasureReport]]


class RunControl(Protocol):
    """Control of the live runs of an operator."""

    async def pause_run(self, run: TaskRunId, reason: str, author: str, *, drain: bool) -> None:
        """Pause a live run, and return when that is recorded."""

    async def end_run(self, run: TaskRunId, reason: str, author: str, *, at_once: bool) -> None:
        """End a run, and return when it is completed."""

    async def refusals(self, run: TaskRunId) -> dict[str, int]:
        """Return what a live run has refused or discarded, by reason."""

    def outages(self, run: TaskRunId) -> tuple[Outage, ...]:
        """Return which routers of a live run are out of reach."""

    async def retry(self, run: TaskRunId, reason: str, author: str) -> bool:
        """Ask a live run's code again about everybody whom it failed on; return False if it has not failed."""


class RequestExecutor:
    """Executes requests, each in the name of its author.

    A request is executed at most once for a key, however often it is sent. A cancelled call does not withdraw it.
    """

    def __init__(
        self,
        ledger: Ledger,
        ids: Ids,
        open_provider: OpenProvider,
        erase: EraseWorkerData,
        runs: RunControl,
        withdraw: WithdrawConsentData | None = None,
    ) -> None:
        """Initialize.

        Args:
            ledger: executes the commands; its writer task is running.
            ids: source of ids and salts.
            open_provider: opens the provider of a run.
            erase: deletes what the log and the files beside it contain of a worker.
            runs: controls the runs.
            withdraw: withdraws consent; None if there are no files beside the log.
        """
        self._ledger = ledger
        self._ids = ids
        self._open_provider = open_provider
        self._erase = erase
        self._withdraw = withdraw or withdrawer_in_log(ledger, ids)
        self._runs = runs

    async def execute(self, request: AnyRequest, author: str, key: str) -> Reply:
        """Execute a request, and return when its events are durable.

        Args:
            request: the request.
            author: who makes it, as the log records it.
            key: idempotency key: the same request with the same key is executed once.

        Raises:
            CommandRefusedError: it is not legal now; the message says why.
            ConfigError: the run's provider cannot pay.
            MephistoError: the provider's site refused, or could not be asked.
            LogError: nothing was written, or it is not known whether it was; the same call can be made again.
        """
        match request:
            case PayRequest():
                return await self._pay(request, author)
            case ReconcileRequest() | SiteMessageRequest():
                return await self._ask_site(request, author)
            case CompareBooksRequest():
                return await self._compare_books(request)
            case PauseRequest(task_run=run, drain=waits) if check_pause(run, self._status_of(run), waits=waits):
                await self._runs.pause_run(request.task_run, request.reason, author, drain=request.drain)
                return Reply()
            case EndRequest() if self._status_of(request.task_run) is not TaskRunStatus.COMPLETED:
                await self._runs.end_run(request.task_run, request.reason, author, at_once=request.at_once)
                return Reply()
            case PauseRequest() | EndRequest():
                return Reply(repeated=True)
            case RetryRequest():
                has_failed = await self._runs.retry(request.task_run, f"asked to by {author}", author)
                return Reply(repeated=not has_failed)
            case RefusalsRequest():
                run = request.task_run
                return Reply(refusals=await self._runs.refusals(run), outages=self._runs.outages(run))
            case RegisterRequest() | RegisterWorkerRequest() | CreateQualificationRequest():
                return await self._register(request, author)
            case CreateProjectRequest() | PutInProjectRequest() | RegisterTaskRequest():
                return await self._register(request, author)
            case EraseRequest():
                return Reply(erasure=await self._erase(request.worker, request.reason, author))
            case WithdrawConsentRequest() | RevokeVerdictsRequest():
                return await self._take_back(request, author)
            case ReopenRequest():
                extension = RunExtension(self._ledger, self._ids, author)
                return _reply(await extension.reopen(request.task_run, request.reason, command_id=key), author)
            case ExtendRequest():
                extension = RunExtension(self._ledger, self._ids, author)
                reply = _reply(await extension.extend(request, command_id=key), author)
                return replace(reply, run_status=self._status_of(request.task_run).value)
            case FindRequest():
                lookup = StateLookup(self._ledger.state, self._ledger.log.pseudonym_key)
                return Reply(found=str(find_entity(lookup, request.text, request.kinds)))
            case _:
                result = await self._review(request, author, key)
                return replace(
                    _reply(result, author), differs=isinstance(request, VerdictRequest) and _is_opinion(result)
                )

    def _check_rejection(self, request: VerdictRequest, reviewer: Reviewer) -> None:
        """Refuse a rejection that the run's crowd site would not take: the worker would be paid after all.

        Raises:
            CommandRefusedError: the site wants another reason; the message says which.
        """
        if request.verdict is not Verdict.REJECTED:
            return
        created = self._ledger.log.history(task_run_stream(reviewer.run_of(request.agent)))[0].envelope.event
        if not isinstance(created, TaskRunCreated) or created.provider_type not in get_valid_provider_types():
            return
        problem = get_crowd_provider_from_type(created.provider_type).rejection_problem(request.note)
        if problem is not None:
            raise CommandRefusedError(f"agent-{request.agent} is not rejected: {problem}")

    async def _judge(
        self, request: VerdictRequest | OpinionRequest | WithdrawVerdictRequest, reviewer: Reviewer, key: str
    ) -> AppendResult:
        match request:
            case VerdictRequest():
                self._check_rejection(request, reviewer)
                return await reviewer.give_verdict(
                    request.agent,
                    request.verdict,
                    request.note,
                    request.bonus_cents,
                    adjudicates=request.adjudicates,
                    command_id=key,
                )
            case OpinionRequest():
                return await reviewer.give_opinion(request.agent, request.verdict, request.note, command_id=key)
            case WithdrawVerdictRequest():
                return await reviewer.withdraw_verdict(request.agent, request.reason, command_id=key)
            case _:
                assert_never(request)

    def _key_of_verdict(self, agent: AgentId, reviewer: Reviewer, key: str) -> str:
        """Return the key of a request about a verdict: the same one given again after it was taken back is another."""
        record = self._ledger.state.agents[agent_stream(reviewer.run_of(agent), agent)]
        return f"{key}/{record.withdrawn_verdicts}" if record.withdrawn_verdicts else key

    async def _register(self, request: RecordRequest, author: str) -> Reply:
        directory = Directory(self._ledger, self._ids, author)
        match request:
            case RegisterRequest():
                is_new = await directory.find_or_create_requester(request.requester, request.provider_type)
                return Reply(repeated=not is_new)
            case RegisterWorkerRequest():
                await directory.new_worker(request.worker_name, request.provider_type)
            case CreateQualificationRequest():
                await directory.find_or_create_qualification(request.qualification)
            case CreateProjectRequest():
                await directory.new_project(request.project)
            case PutInProjectRequest():
                return Reply(repeated=not await directory.put_in_project(request.task, request.project))
            case RegisterTaskRequest():
                await directory.new_task(request.task_name, request.task_type)
            case _:
                assert_never(request)
        return Reply()

    async def _take_back(self, request: WithdrawConsentRequest | RevokeVerdictsRequest, author: str) -> Reply:
        """Take back what a worker agreed to, or what a function said against workers."""
        run, reason = request.task_run, request.reason
        if isinstance(request, WithdrawConsentRequest):
            return Reply(payloads=await self._withdraw(run, request.worker, reason, author))
        revoked = await VerdictRevoker(self._ledger, self._ids, author).revoke(run, request.function, reason)
        return Reply(workers=len(revoked))

    def _status_of(self, run: TaskRunId) -> TaskRunStatus:
        return self._ledger.state.task_runs[task_run_stream(run)].status

    async def _review(
        self,
        request: VerdictRequest
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
        | SettleRequest,
        author: str,
        key: str,
    ) -> AppendResult:
        reviewer = Reviewer(self._ledger, self._ids, author)
        match request:
            case VerdictRequest() | OpinionRequest() | WithdrawVerdictRequest():
                return await self._judge(request, reviewer, self._key_of_verdict(request.agent, reviewer, key))
            case LabelRequest():
                return await record_label(self._ledger, self._ids, author, request, key)
            case AppealRequest():
                return await reviewer.appeal(request.agent, request.objection, command_id=key)
            case DismissAppealRequest():
                return await reviewer.dismiss_appeal(request.agent, request.answer, command_id=key)
            case AcceptLateRequest():
                return await reviewer.accept_late_work(request.agent, request.note, command_id=key)
            case BonusRequest():
                return await reviewer.bonus_worker(
                    request.worker, request.amount_cents, request.reason, request.unit, command_id=key
                )
            case GrantRequest():
                return await reviewer.grant_qualification(
                    request.worker, request.qualification, request.value, command_id=key
                )
            case RevokeRequest():
                return await reviewer.revoke_qualification(
                    request.worker, request.qualification, request.reason, command_id=key
                )
            case BlockRequest():
                return await reviewer.block_worker(request.worker, request.reason, command_id=key)
            case SettleRequest():
                return await reviewer.settle_payment(
                    request.payment,
                    is_paid=request.is_paid,
                    at_site=request.at_site,
                    reason=request.reason,
                    corrects=request.corrects,
                    command_id=key,
                )
            case UnblockRequest():
                return await reviewer.unblock_worker(request.worker, request.reason, command_id=key)
            case _:
                assert_never(request)

    async def _pay(self, request: PayRequest, author: str) -> Reply:
        run = request.task_run
        async with self._open_provider(run) as provider:
            paymaster = Paymaster(self._ledger, self._ids, payer_of(provider), author, provider.PAYMENTS_AT_A_TIME)
            if provider.POLL_SECONDS is not None:
                # Work can only be approved once the site has it as completed.
                await self._round(run, Reconciler(self._ledger, self._ids, run, provider))
            paid = await paymaster.pay_owed(run, only=frozenset(request.payments))
            await paymaster.confirm_sent(run)
        return Reply(paid=paid)

    async def _reconcile(self, request: ReconcileRequest, author: str) -> Reply:
        run = request.task_run
        if request.starts_offer and self._status_of(run) is not TaskRunStatus.LIVE:
            raise CommandRefusedError(f"run {run} is not live and offers nothing; resume it first")
        async with self._open_provider(run) as provider:
            if provider.POLL_SECONDS is None:
                return Reply()
            reconciler = Reconciler(self._ledger, self._ids, run, provider)
            listed = listed_work(provider, request.listed)
            found = await self._round(
                run, reconciler, started_by=author if request.starts_offer else None, listed=listed
            )
            if request.takes_in:
                missed = MissedWork(self._ledger, self._ids, run, provider.PROVIDER_TYPE, author)
                taken, refused = await missed.take_in(reconciler.missed())
                found = replace(await self._round(run, reconciler), taken_in=taken, not_taken_in=refused)
            return Reply(round=with_money(found, self._ledger, run, provider, reconciler.works))

    async def _round(
        self,
        run: TaskRunId,
        reconciler: Reconciler,
        *,
        started_by: str | None = None,
        listed: Sequence[SiteWork] = (),
    ) -> RoundReport:
        # The offer of a live run is its operator's; that of any other one is withdrawn.
        is_live = self._status_of(run) is TaskRunStatus.LIVE
        with provider_code():
            offers = True if started_by is not None else None if is_live else False
            return await reconciler.reconcile(offers=offers, started_by=started_by, listed=listed)

    async def _ask_site(self, request: ReconcileRequest | SiteMessageRequest, author: str) -> Reply:
        if isinstance(request, ReconcileRequest):
            return await self._reconcile(request, author)
        run = Reviewer(self._ledger, self._ids, author).run_of(request.agent)
        async with self._open_provider(run) as provider:
            await SiteMessages(self._ledger, self._ids, run, provider, author).send(request)
        return Reply()

    async def _compare_books(self, request: CompareBooksRequest) -> Reply:
        async with self._open_provider(request.task_run) as provider:
            with provider_code():
                return Reply(books=await compare_books(self._ledger, request.task_run, provider))


def _is_opinion(result: AppendResult) -> bool:
    return any(isinstance(recorded.envelope.event, AgentOpinionGiven) for recorded in result.events)


def _reply(result: AppendResult, author: str) -> Reply:
    if not result.events:
        return Reply(repeated=result.repeated)
    earlier = result.events[-1].envelope.actor
    return Reply(
        repeated=result.repeated,
        repeats=earlier if result.repeated and earlier != author else None,
        seq=result.events[-1].seq,
    )
