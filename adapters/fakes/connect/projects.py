"""The rules of a fake Connect for projects: legal moves, what is frozen, money, and what the site does by itself."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from ..clock import FakeClock
from ..guesses import Guesses
from ..wire import FakeRefusalError
from .books import ConnectBooks, FakeProject, cents_of
from .guesses import ConnectGuess
from .schema import ChangeBody, ProjectBody

#: The least hourly pay, in cents.
MIN_HOURLY_CENTS = 750
MOVES = {
    "Unpublished": {"Live", "Archived"},
    "Live": {"Paused"},
    "Paused": {"Live", "Closed"},
}
#: Fields that can be changed after launch.
OPEN_FIELDS = frozenset({"name", "project_url", "summary", "instructions", "participants"})
#: Assignments that hold a place which is paid for.
HOLDING = frozenset({"InProgress", "Pending", "Approved"})


class ProjectRules:
    """Decides about projects."""

    def __init__(
        self,
        books: ConnectBooks,
        clock: FakeClock,
        guesses: Guesses[ConnectGuess],
        list_lag_seconds: Callable[[], float],
    ) -> None:
        """Take the parts.

        Args:
            books: all that the site knows.
            clock: the site's time.
            guesses: the ways of what nobody knows.
            list_lag_seconds: the time until a new project shows in lists.
        """
        self._books = books
        self._clock = clock
        self._guesses = guesses
        self._list_lag_seconds = list_lag_seconds
        #: So many returned or timed out assignments make the site pause a project; None: it never does.
        self.returns_until_pause: int | None = None

    def create(self, body: ProjectBody) -> FakeProject:
        """Make an unpublished project.

        Raises:
            FakeRefusalError: it is not a project that Connect takes.
        """
        _check(body)
        now = self._clock.now()
        project = FakeProject(self._books.new_project_id(), body, now, now + self._list_lag_seconds())
        self._books.projects[project.id] = project
        return project

    def change(self, project: FakeProject, change: ChangeBody) -> None:
        """Change a project; after launch only some fields, and places only upwards.

        Raises:
            FakeRefusalError: the status does not allow it, or there is no money for more places.
        """
        fields = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not None}
        if project.status not in {"Unpublished", "Live", "Paused", "Completed"}:
            raise FakeRefusalError(400, f"a project that is {project.status} cannot be changed")
        if project.status != "Unpublished":
            self._check_change(project, fields)
        changed = replace(project.body, **fields)
        _check(changed)
        more = changed.participants - project.body.participants
        if project.status != "Unpublished" and more > 0:
            self.fund(project, more)
        project.body = changed
        if project.status == "Completed" and more > 0:
            project.status = "Live"

    def move(self, project: FakeProject, status: str) -> None:
        """Launch, pause, close or archive a project.

        Raises:
            FakeRefusalError: the move is not legal, or there is no money.
        """
        if status not in MOVES.get(project.status, set()):
            raise FakeRefusalError(400, f"a project that is {project.status} cannot become {status}")
        if status == "Live" and project.is_held:
            raise FakeRefusalError(400, "the project was paused by Connect; contact support")
        if project.status == "Unpublished" and status == "Live":
            self.fund(project, project.body.participants)
        project.status = status
        if status == "Closed":
            self.credit(project, project.funded - self._held(project))

    def cost(self, project: FakeProject) -> Decimal:
        """Return a project's cost with fees, in cents."""
        return project.body.participants * self._books.with_fee(project.payment_cents)

    def admits(self, project: FakeProject, participant: str) -> str | None:
        """Return why a person does not get a place; None: they get one."""
        everyone = self._books.of_project(project)
        if project.status != "Live":
            return "the project is not live"
        if self._used(project) >= project.body.participants:
            return "the project is full"
        if any(one.participant == participant for one in everyone):
            return "you have taken part in this project"
        if not self._is_targeted(project, participant.casefold()):
            return "you are not eligible"
        return None

    def settle(self, project: FakeProject) -> None:
        """Complete a live project whose places are all filled."""
        is_open = any(one.status == "InProgress" for one in self._books.of_project(project))
        if project.status == "Live" and not is_open and self._used(project) >= project.body.participants:
            project.status = "Completed"

    def note_return(self, project: FakeProject) -> None:
        """Count a returned or timed out assignment; many of them make the site pause the project."""
        project.returned += 1
        limit = self.returns_until_pause
        if limit is not None and project.returned >= limit and project.status == "Live":
            project.status, project.is_held = "Paused", True

    def fund(self, project: FakeProject, places: int) -> None:
        """Take the money for places in advance.

        Raises:
            FakeRefusalError: there is too little.
        """
        cents = places * self._books.with_fee(project.payment_cents)
        if self._guesses.is_flipped(ConnectGuess.LAUNCH_TAKES_NOTHING):
            if cents > self._books.balance:
                raise FakeRefusalError(400, "insufficient funds")
        else:
            self.charge(cents)
        project.funded += places

    def credit(self, project: FakeProject, places: int) -> None:
        """Give back the money for places that was taken in advance."""
        project.funded -= places
        if not self._guesses.is_flipped(ConnectGuess.LAUNCH_TAKES_NOTHING):
            self._books.balance += places * self._books.with_fee(project.payment_cents)

    def fund_next(self, project: FakeProject) -> None:
        """Take the money for a place that somebody takes, if it is not paid for.

        Raises:
            FakeRefusalError: there is too little.
        """
        if self._held(project) >= project.funded:
            self.fund(project, 1)

    def pay_approved(self, project: FakeProject) -> None:
        """Take the money for an approval, if none was taken in advance.

        Raises:
            FakeRefusalError: there is too little.
        """
        if self._guesses.is_flipped(ConnectGuess.LAUNCH_TAKES_NOTHING):
            self.charge(self._books.with_fee(project.payment_cents))

    def charge(self, cents: Decimal) -> None:
        """Take money from the balance.

        Raises:
            FakeRefusalError: there is too little.
        """
        if cents > self._books.balance:
            raise FakeRefusalError(400, "insufficient funds")
        self._books.balance -= cents

    def _used(self, project: FakeProject) -> int:
        """Return the places that nobody else can take."""
        reopens = self._guesses.is_flipped(ConnectGuess.REJECTED_REOPENS)
        return sum(
            one.status in HOLDING or (one.status == "Rejected" and not reopens)
            for one in self._books.of_project(project)
        )

    def _held(self, project: FakeProject) -> int:
        return sum(one.status in HOLDING for one in self._books.of_project(project))

    def _check_change(self, project: FakeProject, fields: dict[str, object]) -> None:
        frozen = sorted(set(fields) - OPEN_FIELDS)
        if frozen:
            raise FakeRefusalError(400, f"{frozen[0]} cannot be changed after launch")
        places = fields.get("participants")
        if isinstance(places, int) and places < project.body.participants:
            raise FakeRefusalError(400, "participants can only be increased")
        if project.status == "Completed" and self._guesses.is_flipped(ConnectGuess.COMPLETED_IS_FINAL):
            raise FakeRefusalError(400, "a completed project cannot be changed")

    def _is_targeted(self, project: FakeProject, participant: str) -> bool:
        target = project.body.platform_targeting
        if target is None:
            return True
        people, projects = target.participants, target.projects
        took_part = {one.project.id for one in self._books.assignments.values() if one.participant == participant}
        if people is not None:
            included = {one.casefold() for one in people.included_participants}
            excluded = {one.casefold() for one in people.excluded_participants}
            if participant in excluded or (included and participant not in included):
                return False
        if projects is not None:
            wanted = set(projects.included_projects)
            if took_part & set(projects.excluded_projects) or (wanted and not took_part & wanted):
                return False
        return True


def _check(body: ProjectBody) -> None:
    cents = cents_of(body.payment)
    if cents * 60 < MIN_HOURLY_CENTS * body.estimated_time_in_minutes:
        raise FakeRefusalError(400, "the payment is below the minimum of $7.50 an hour")
    if body.max_time_in_minutes is not None and body.max_time_in_minutes <= body.estimated_time_in_minutes:
        raise FakeRefusalError(400, "maxTimeInMinutes must be greater than estimatedTimeInMinutes")
