"""Takes in work that was completed at a crowd site while no page could submit it, in the name of a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from ....events import streams
from ....events.agent import AgentWaiting
from ....events.ids import AgentId, TaskRunId
from ...abstractions.crowd.site_work import SiteWork
from ...abstractions.crowd_provider import CrowdProvider
from ...command_issuer import CommandIssuer
from ...commands.admission import Applicant, TakeInWork
from ...errors import CommandRefusedError
from ...ledger import Ledger
from ...payloads import pseudonym, seal
from ...ports import Ids, Payload
from .directory import Directory
from .provider_places import RecordedPlace


class MissedPiece(NamedTuple):
    """Work that the site shows as completed, and that no page submitted."""

    work: SiteWork
    #: Its place, if the log knows it; None: no page of it ever asked for work.
    place: RecordedPlace | None


class _SiteFacts(msgspec.Struct, frozen=True):
    """The site's facts about the work, which stand in for a submission."""

    code: str | None
    started_at: float | None
    completed_at: float | None


class _TakenIn(msgspec.Struct, frozen=True):
    """A submission that was taken in."""

    taken_in: _SiteFacts


class MissedWork:
    """The work of one run that only its site has."""

    def __init__(self, ledger: Ledger, ids: Ids, run: TaskRunId, provider_type: str, author: str) -> None:
        """Keep the parts.

        Args:
            ledger: executes the commands; its writer task is running.
            ids: source of ids and salts.
            run: the run.
            provider_type: the provider that its workers come from.
            author: who takes the work in, as the log records it.
        """
        self._ledger = ledger
        self._ids = ids
        self._run = run
        self._provider_type = provider_type
        self._issuer = CommandIssuer(ledger, ids, author)
        self._directory = Directory(ledger, ids, author)

    async def take_in(self, pieces: Sequence[MissedPiece]) -> tuple[int, tuple[str, ...]]:
        """Take in pieces of work.

        Returns:
            The number of those that are in the log now, and the reasons for which others are not.

        Raises:
            LogError: nothing was written, or it is not known whether it was.
        """
        if pieces and self._are_done_together():
            return 0, (f"the units of run {self._run} are worked on together: nobody can have completed one alone",)
        taken, refused = 0, []
        for piece in pieces:
            try:
                await self._take_in(piece)
                taken += 1
            except CommandRefusedError as error:
                refused.append(str(error))
        return taken, tuple(refused)

    def _are_done_together(self) -> bool:
        """Return whether an agent of the run ever waited for partners."""
        agents = (stream for stream in self._ledger.state.agents if streams.run_of(stream) == self._run)
        first = next(agents, None)
        history = () if first is None else self._ledger.log.history(first)
        return any(isinstance(recorded.envelope.event, AgentWaiting) for recorded in history)

    async def _take_in(self, piece: MissedPiece) -> None:
        """Take in one piece of work.

        Raises:
            CommandRefusedError: it is not legal now; the message says why.
        """
        place, payloads = piece.place, list[Payload]()
        if place is None:
            if piece.work.participant is None:
                raise CommandRefusedError("the site does not say whose work it is")
            # As the page of the site's workers writes the ids, so that a page that comes later finds its agent.
            name, handle = piece.work.participant.lower(), piece.work.handle.lower()
            worker = await self._directory.find_or_create_worker(name, self._provider_type)
            registration = pseudonym(self._ledger.log.pseudonym_key, "registration", f"{handle}-{name}")
            payloads = [
                seal(text.encode(), self._ids.salt(), worker) for text in (handle, piece.work.study) if text is not None
            ]
        else:
            worker, registration = place.worker, place.registration
        facts = _SiteFacts(piece.work.code, piece.work.started_at, piece.work.completed_at)
        submission = seal(msgspec.json.encode(_TakenIn(facts)), self._ids.salt(), worker)
        command = TakeInWork(
            task_run=self._run,
            applicant=Applicant(worker, self._ids.token(), registration),
            agent=AgentId(self._ids.next_id("agent")),
            handle=payloads[0].ref if payloads else None,
            study=payloads[1].ref if len(payloads) > 1 else None,
            submission=submission.ref,
        )
        await self._issuer.issue(command, submission, *payloads)


def listed_work(provider: CrowdProvider, participants: Sequence[str]) -> list[SiteWork]:
    """Return the work of people whom somebody has found on the site's pages.

    Raises:
        CommandRefusedError: the site shows its work by itself, or some of the ids cannot be its.
    """
    if participants and provider.SHOWS_WORK:
        raise CommandRefusedError(f"{provider.PROVIDER_TYPE} shows its work by itself: leave the list out")
    works = [work for one in participants if (work := provider.listed_work(one)) is not None]
    if len(works) < len(participants):
        wrong, site = len(participants) - len(works), provider.PROVIDER_TYPE
        raise CommandRefusedError(f"{wrong:,} of {len(participants):,} listed ids are none of {site}'s")
    return works
