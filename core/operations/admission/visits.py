"""Lets pages in on the terms of the crowd provider, and gives those who are done the provider's code."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ....events.engagement import RefusalReason, WorkerRefused
from ....events.ids import TaskRunId, WorkerId
from ...abstractions.callbacks import COMPLETION_CODE, VISIT_TERMS
from ...abstractions.crowd.visits import VisitRefusedError, VisitTerms
from ...abstractions.crowd_provider import CrowdProvider
from ...command_issuer import CommandIssuer
from ...commands.admission import AdmitVisit
from ...errors import UserCodeError
from ...ledger import Ledger
from ...packet_data import ProviderData
from ...payloads import name_of_worker, pseudonym
from ...ports import Ids
from ..task_code.user_code import AffectedIds, UserCode


class VisitAdmission:
    """The first step of every page of a run."""

    def __init__(self, run: TaskRunId, provider: CrowdProvider, ledger: Ledger, ids: Ids, user_code: UserCode) -> None:
        self._run = run
        self._provider = provider
        self._user_code = user_code
        self._ledger = ledger
        self._issuer = CommandIssuer(ledger, ids)
        #: Pages that were not let in, by the reason.
        self.refused: dict[RefusalReason, int] = {}

    def terms_of(self, page: ProviderData) -> VisitTerms:
        """Return the terms under which a page is let in.

        Raises:
            VisitRefusedError: it is not, or the provider's code failed, which is recorded.
        """
        code = partial(_terms_or_refusal, self._provider.visit_terms, page, self._ledger.now_us() / 1_000_000)
        try:
            terms = self._user_code.ask_nowait(VISIT_TERMS, code, AffectedIds())
        except UserCodeError as error:
            raise VisitRefusedError(RefusalReason.TECHNICAL_PROBLEM) from error
        if isinstance(terms, VisitRefusedError):
            raise terms
        return terms

    async def admit(self, worker: WorkerId, terms: VisitTerms) -> RefusalReason | None:
        """Let a worker in, if the terms allow it; returns the reason if they do not."""
        if not terms.is_limited:
            return None
        key, session = self._ledger.log.pseudonym_key, terms.page.provider_session
        command = AdmitVisit(
            task_run=self._run,
            worker=worker,
            invitation=None if terms.invitation is None else pseudonym(key, "invitation", terms.invitation),
            session=None if session is None else pseudonym(key, "session", session),
            max_people=terms.max_people,
        )
        result = await self._issuer.issue(command, actor=f"worker/{worker}")
        last = result.events[-1].envelope.event if result.events else None
        return last.reason if isinstance(last, WorkerRefused) else None

    def completion_code(self, worker: WorkerId) -> str | None:
        """Return the code that proves to the provider that a worker is done; None if it wants none, or its code failed.

        Raises:
            LogError: the log cannot be read.
        """
        name = name_of_worker(self._ledger.log, worker)
        return None if name is None else self._code_of(worker, name)

    def _code_of(self, worker: WorkerId, name: str) -> str | None:
        code = partial(self._provider.completion_code, name)
        try:
            return self._user_code.ask_nowait(COMPLETION_CODE, code, AffectedIds(worker=worker))
        except UserCodeError:
            return None


def _terms_or_refusal(visit_terms: Callable[..., VisitTerms], page: ProviderData, now_seconds: float) -> object:
    try:
        return visit_terms(page, now_seconds)
    except VisitRefusedError as refusal:
        return refusal
