"""The rules of a fake Connect for assignments: a person's way, the researcher's review, bonuses."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from ..clock import Agenda, FakeClock
from ..guesses import Guesses
from ..wire import FakeRefusalError
from .books import ConnectBooks, FakeAssignment, FakeProject, cents_of
from .guesses import ConnectGuess
from .projects import ProjectRules
from .schema import BonusBodyLine, ReviewBodyLine

#: Unreviewed work is approved by the site after this.
AUTO_APPROVAL_SECONDS = 14 * 24 * 3600


class AssignmentRules:
    """Decides about assignments."""

    def __init__(
        self,
        books: ConnectBooks,
        projects: ProjectRules,
        clock: FakeClock,
        agenda: Agenda,
        guesses: Guesses[ConnectGuess],
    ) -> None:
        """Take the parts; see `ProjectRules`."""
        self._books = books
        self._projects = projects
        self._clock = clock
        self._agenda = agenda
        self._guesses = guesses

    # The person's side.

    def accept(self, project: FakeProject, participant: str) -> FakeAssignment:
        """Give a person a place.

        Raises:
            FakeRefusalError: they do not get one.
        """
        reason = self._projects.admits(project, participant)
        if reason is not None:
            raise FakeRefusalError(409, reason)
        self._projects.fund_next(project)
        now = self._clock.now()
        assignment = FakeAssignment(self._books.new_person_id(), project, participant, now)
        self._books.assignments[assignment.id] = assignment
        self._agenda.at(now + 60 * project.longest_minutes, lambda _: self._end_unfinished(assignment, "TimedOut"))
        return assignment

    def complete(self, assignment: FakeAssignment, code: str | None) -> None:
        """Complete an assignment, by a code or by the redirect.

        Raises:
            FakeRefusalError: it is over, or the code is wrong.
        """
        if assignment.status != "InProgress":
            raise FakeRefusalError(409, f"an assignment that is {assignment.status} cannot be completed")
        settings = assignment.project.body.completion_settings
        if code is not None and settings is not None and settings.value not in {None, code}:
            raise FakeRefusalError(409, "the completion code is wrong")
        now = self._clock.now()
        assignment.status, assignment.completed_at, assignment.code = "Pending", now, code
        assignment.completed_by = "Redirect" if code is None else "CompletionCode"
        self._agenda.at(now + AUTO_APPROVAL_SECONDS, lambda _: self._approve_unreviewed(assignment))
        self._projects.settle(assignment.project)

    def give_back(self, assignment: FakeAssignment) -> None:
        """Return an assignment that is being worked on.

        Raises:
            FakeRefusalError: it is over.
        """
        if assignment.status != "InProgress":
            raise FakeRefusalError(409, f"an assignment that is {assignment.status} cannot be returned")
        self._end_unfinished(assignment, "Returned")

    # The researcher's side.

    def approve(self, project: FakeProject, lines: Sequence[ReviewBodyLine]) -> None:
        """Approve assignments, all or none.

        Raises:
            FakeRefusalError: one is unknown or cannot be approved.
        """
        chosen = self._chosen(project, lines)
        is_strict = self._guesses.is_flipped(ConnectGuess.APPROVED_TWICE_IS_REFUSED)
        for assignment, _ in chosen:
            if assignment.status != "Pending" and (is_strict or assignment.status != "Approved"):
                raise FakeRefusalError(400, f"an assignment that is {assignment.status} cannot be approved")
        for assignment, message in chosen:
            if assignment.status == "Pending":
                self._pay(assignment)
                assignment.message = message

    def reject(self, project: FakeProject, lines: Sequence[ReviewBodyLine]) -> None:
        """Reject assignments, all or none; money and fee come back.

        Raises:
            FakeRefusalError: one is unknown, is not pending, or has no message.
        """
        chosen = self._chosen(project, lines)
        for assignment, message in chosen:
            if assignment.status != "Pending":
                raise FakeRefusalError(400, f"an assignment that is {assignment.status} cannot be rejected")
            if not message:
                raise FakeRefusalError(400, "every rejection needs a message")
        for assignment, message in chosen:
            assignment.status, assignment.message = "Rejected", message
            self._projects.credit(project, 1)

    def reverse(self, project: FakeProject, lines: Sequence[ReviewBodyLine]) -> None:
        """Approve rejected assignments, all or none.

        Raises:
            FakeRefusalError: one is unknown or not rejected, or there is no money.
        """
        chosen = self._chosen(project, lines)
        for assignment, _ in chosen:
            if assignment.status != "Rejected":
                raise FakeRefusalError(400, f"an assignment that is {assignment.status} was not rejected")
        self._projects.charge(len(chosen) * self._books.with_fee(project.payment_cents))
        project.funded += len(chosen)
        for assignment, _ in chosen:
            self._settle_pay(assignment)

    def bonus(self, project: FakeProject, lines: Sequence[BonusBodyLine]) -> None:
        """Pay bonuses, all or none.

        Raises:
            FakeRefusalError: one is unknown or not finished, or there is no money for all.
        """
        chosen = [(self._find(project, line.id), cents_of(line.amount)) for line in lines]
        for assignment, _ in chosen:
            if assignment.completed_at is None:
                raise FakeRefusalError(400, "an assignment that is not completed gets no bonus")
        total = sum((self._books.with_fee(cents) for _, cents in chosen), Decimal(0))
        self._projects.charge(total)
        for assignment, cents in chosen:
            assignment.bonus_cents += cents
            self._books.fees_paid += self._books.with_fee(cents) - cents

    def shown(self, project: FakeProject) -> list[FakeAssignment]:
        """Return the assignments that the API lists."""
        stays = self._guesses.is_flipped(ConnectGuess.RETURNED_STAYS)
        return [
            one
            for one in self._books.of_project(project)
            if stays or one.status in {"InProgress", "Pending", "Approved", "Rejected"}
        ]

    def _approve_unreviewed(self, assignment: FakeAssignment) -> None:
        if assignment.status == "Pending":
            self._pay(assignment)

    def _pay(self, assignment: FakeAssignment) -> None:
        self._projects.pay_approved(assignment.project)
        self._settle_pay(assignment)

    def _settle_pay(self, assignment: FakeAssignment) -> None:
        cents = assignment.project.payment_cents
        assignment.status, assignment.paid_cents = "Approved", cents
        self._books.fees_paid += self._books.with_fee(cents) - cents

    def _end_unfinished(self, assignment: FakeAssignment, status: str) -> None:
        if assignment.status == "InProgress":
            assignment.status = status
            self._projects.note_return(assignment.project)

    def _chosen(self, project: FakeProject, lines: Sequence[ReviewBodyLine]) -> list[tuple[FakeAssignment, str | None]]:
        return [(self._find(project, line.id), line.message) for line in lines]

    def _find(self, project: FakeProject, name: str) -> FakeAssignment:
        """Return an assignment by its id or its person's, without case."""
        wanted = name.casefold()
        for assignment in self._books.of_project(project):
            if wanted in {assignment.id, assignment.participant}:
                return assignment
        raise FakeRefusalError(400, f"{name} is not part of this project")
