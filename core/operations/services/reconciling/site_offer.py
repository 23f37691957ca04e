"""Keeps a run's offer at its crowd site: the number of places, and who has paused it."""

from __future__ import annotations

from .....events import streams
from .....events.ids import TaskRunId
from .....events.task_run import SiteOffer, TaskRunOfferChanged
from ....abstractions.crowd_provider import CrowdProvider
from ....command_issuer import CommandIssuer
from ....commands.task_run import RecordRunEvent
from ....decisions.task_run import offer_paused_text
from ....ledger import Ledger
from ....lifecycles.task_run import TASK_RUN, TaskRunState
from ....lifecycles.unit import UnitStatus
from ...logger_core import get_logger

logger = get_logger(__name__)


class OfferReconciler:
    """Reconciles the offer of one run with its provider's site.

    Attributes:
        offered: places that the site has; None: it was not asked for any.
    """

    def __init__(
        self, ledger: Ledger, issuer: CommandIssuer, run: TaskRunId, provider: CrowdProvider, *, logs: bool
    ) -> None:
        """Keep the parts.

        Args:
            ledger: executes the commands; its writer task is running.
            issuer: issues them.
            run: the run.
            provider: its provider, open.
            logs: whether an offer that somebody paused at the site is logged.
        """
        self._ledger = ledger
        self._issuer = issuer
        self._run = run
        self._provider = provider
        self._logs = logs
        self.offered: int | None = None
        self._is_withdrawn = False

    @property
    def is_paused_there(self) -> bool:
        """True if somebody, or the site itself, has paused the offer there."""
        return self._run_state.offer is SiteOffer.PAUSED_THERE

    @property
    def _run_state(self) -> TaskRunState:
        return self._ledger.state.task_runs[streams.task_run(self._run)]

    async def withdraw(self) -> None:
        """Withdraw the offer. That is recorded first: a pause that is found afterwards is ours.

        Raises:
            LogError: nothing could be recorded.
            Exception: the provider could not ask its site.
        """
        await self._record(SiteOffer.WITHDRAWN)
        await self._provider.withdraw()
        self._is_withdrawn = True

    async def observe(self) -> None:
        """Record that somebody at the site has paused the offer, or started it again."""
        recorded = self._run_state.offer
        if recorded not in {SiteOffer.OPEN, SiteOffer.PAUSED_THERE}:
            return
        is_paused = await self._provider.is_offer_paused()
        if is_paused and recorded is SiteOffer.OPEN and self._logs:
            logger.warning(offer_paused_text(self._run))
        await self._record(SiteOffer.PAUSED_THERE if is_paused else SiteOffer.OPEN)

    async def bring_to(self, wanted: int | None, started_by: str | None) -> None:
        """Bring the offer to a number of places, or withdraw it; one that was paused at the site stays as it is.

        Args:
            wanted: the places; None: withdraw it.
            started_by: who wants an offer that was paused at the site to be started; None: nobody does.
        """
        if wanted is not None and started_by is None and self.is_paused_there:
            return
        on_offer = self._ledger.state.runs[self._run].units_by_status.get(UnitStatus.LAUNCHED, 0)
        has_surplus = wanted is not None and not on_offer and (self.offered is None or self.offered > wanted)
        if wanted is None or has_surplus:
            if not self._is_withdrawn:
                await self.withdraw()
        elif on_offer and (self._is_withdrawn or self.offered is None or self.offered < wanted):
            self.offered = await self._provider.offer(wanted)
            self._is_withdrawn = False
            await self._record(SiteOffer.OPEN, started_by)

    async def _record(self, offer: SiteOffer, author: str | None = None) -> None:
        state, changed = self._run_state, TaskRunOfferChanged(offer=offer)
        if state.offer is not offer and TASK_RUN.allows(state.status, TaskRunOfferChanged):
            await self._issuer.issue(RecordRunEvent(task_run=self._run, event=changed), actor=author)
