"""Tells a crowd site who is blocked and who has a qualification, whenever that has changed since it was told last.

The site is told whole states, so a lost answer is put right by the next time. People whom somebody has put into a list
by hand stay in it: only those are taken out who were in it by a decision here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from ....events import streams
from ....events.base import Event
from ....events.ids import WorkerId
from ....events.worker import QualificationChanged, QualificationGranted, WorkerUnblocked
from ...abstractions.crowd_provider import CrowdProvider
from ...ledger import Ledger
from ...lifecycles.worker import WorkerState, WorkerStatus
from .provider_places import name_of_worker


class SiteMirror:
    """The lists of workers that the site of one provider keeps after ours."""

    def __init__(self, ledger: Ledger, provider: CrowdProvider) -> None:
        """Keep the parts; the provider is open.

        Args:
            ledger: reads the log.
            provider: tells the site.
        """
        self._ledger = ledger
        self._provider = provider
        #: Workers of each list that the site was told of last, by the name of the list.
        self._told: dict[str, frozenset[WorkerId]] = {}

    async def update(self) -> None:
        """Tell the site what has changed.

        Raises:
            LogError: the log cannot be read.
            Exception: the provider could not ask its site; what is not told is told the next time.
        """
        workers = [
            one
            for one in self._ledger.state.workers.values()
            if one.provider_type == self._provider.PROVIDER_TYPE and one.status is not WorkerStatus.ERASED
        ]
        if self._provider.MIRRORS_BLOCKS:
            await self._update_blocks(workers)
        for name in self._provider.mirrored_qualifications():
            await self._update_qualification(name, workers)

    async def _update_blocks(self, workers: Collection[WorkerState]) -> None:
        blocked = frozenset(one.worker for one in workers if one.status is WorkerStatus.BLOCKED)
        if blocked == self._told.get(""):
            return
        unblocked = self._once(workers, blocked, lambda event: isinstance(event, WorkerUnblocked))
        await self._provider.mirror_blocks(self._names_of(blocked), self._names_of(unblocked))
        self._told[""] = blocked

    async def _update_qualification(self, name: str, workers: Collection[WorkerState]) -> None:
        qualification = self._ledger.state.qualifications_by_name.get(name)
        if qualification is None:
            return
        holders = frozenset(one.worker for one in workers if one.qualifications.get(qualification, 0) > 0)
        if holders == self._told.get(name):
            return
        former = self._once(
            workers,
            holders,
            lambda event: (
                isinstance(event, QualificationGranted | QualificationChanged) and event.qualification == qualification
            ),
        )
        await self._provider.mirror_qualification(name, self._names_of(holders), self._names_of(former))
        self._told[name] = holders

    def _once(
        self, workers: Collection[WorkerState], now: Collection[WorkerId], shows: Callable[[Event], bool]
    ) -> set[WorkerId]:
        """Return the workers who are not in a list now, and of whose events one shows that they were."""
        return {
            one.worker
            for one in workers
            if one.worker not in now
            # A worker has one event for the registration.
            and self._ledger.state.version(streams.worker(one.worker)) > 1
            and any(shows(each.envelope.event) for each in self._ledger.log.history(streams.worker(one.worker)))
        }

    def _names_of(self, workers: Collection[WorkerId]) -> set[str]:
        return {name for worker in workers if (name := name_of_worker(self._ledger, worker)) is not None}
