"""The pages of a fake Connect on which people, or bots, take part: accept, complete, return."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..pages import Button, PageRow, form_of, page, person_of, then
from ..wire import FakeRefusalError, refuse_page
from .books import FakeAssignment
from .guesses import ConnectGuess
from .site import FakeConnect

LONGEST_NAME = 100


class ConnectPeopleSite:
    """Pages for participants."""

    def __init__(self, site: FakeConnect) -> None:
        """Keep the site."""
        self._site = site
        self._books = site.ledger

    def routes(self) -> list[Route]:
        """Return the pages."""
        return [
            Route("/", self._home, methods=["GET"]),
            Route("/sign-in", self._sign_in, methods=["POST"]),
            Route("/projects/{project}/accept", self._accept, methods=["POST"]),
            Route("/participant/project/{project}/complete", self._redirected, methods=["GET"]),
            Route("/assignments/{assignment}/open", self._open, methods=["GET"]),
            Route("/assignments/{assignment}/code", self._code, methods=["POST"]),
            Route("/assignments/{assignment}/return", self._return, methods=["POST"]),
        ]

    async def _home(self, request: Request) -> Response:
        person = person_of(request)
        if person is None:
            sign_in = PageRow("", (Button("Sign in", "/sign-in", ("person",)),))
            return page(request, "Connect (simulated)", [sign_in], {})
        offers = [one for one in self._books.projects.values() if self._site.projects.admits(one, person) is None]
        mine = [one for one in self._books.assignments.values() if one.participant == person]
        rows = [
            *(
                PageRow(f"{one.body.name}: ${one.body.payment}", (Button("Accept", f"/projects/{one.id}/accept"),))
                for one in offers
            ),
            *(self._own_row(one) for one in mine),
        ]
        facts = {
            "person": person,
            "projects": [{"id": one.id, "name": one.body.name, "payment_cents": one.payment_cents} for one in offers],
            "assignments": [self._facts(one) for one in mine],
        }
        return page(request, f"Connect (simulated): {person}", rows, facts)

    async def _sign_in(self, request: Request) -> Response:
        person = ((await form_of(request)).get("person") or self._books.new_person_id()).casefold()
        if len(person) > LONGEST_NAME:
            raise refuse_page(400, "The name is too long.")
        return then(request, "/", {"person": person}, person)

    async def _accept(self, request: Request) -> Response:
        project = self._books.projects.get(request.path_params["project"])
        if project is None:
            raise refuse_page(404, "There is no such project.")
        try:
            assignment = self._site.assignments.accept(project, _signed_in(request))
        except FakeRefusalError as error:
            raise refuse_page(error.status, str(error.detail)) from error
        return then(request, self._address(assignment), self._facts(assignment))

    async def _open(self, request: Request) -> Response:
        return then(request, self._address(self._mine(request)), self._facts(self._mine(request)))

    async def _redirected(self, request: Request) -> Response:
        """Complete the work of the person who is signed in; the address names the project only."""
        person, project = _signed_in(request), request.path_params["project"]
        for assignment in self._books.assignments.values():
            if assignment.participant == person and assignment.project.id == project:
                return self._finish(request, assignment, None)
        raise refuse_page(404, "You have no work on this project in this browser.")

    async def _code(self, request: Request) -> Response:
        return self._finish(request, self._mine(request), (await form_of(request)).get("code", ""))

    async def _return(self, request: Request) -> Response:
        assignment = self._mine(request)
        try:
            self._site.assignments.give_back(assignment)
        except FakeRefusalError as error:
            raise refuse_page(error.status, str(error.detail)) from error
        return then(request, "/", self._facts(assignment))

    def _finish(self, request: Request, assignment: FakeAssignment, code: str | None) -> Response:
        try:
            self._site.assignments.complete(assignment, code)
        except FakeRefusalError as error:
            raise refuse_page(error.status, str(error.detail)) from error
        return then(request, "/", self._facts(assignment))

    def _mine(self, request: Request) -> FakeAssignment:
        assignment = self._books.assignments.get(request.path_params["assignment"])
        if assignment is None or assignment.participant != _signed_in(request):
            raise refuse_page(404, "You have no such assignment.")
        return assignment

    def _address(self, assignment: FakeAssignment) -> str:
        """Return the project's address for a person, with the ids as the site writes them."""
        is_upper = self._site.guesses.is_flipped(ConnectGuess.IDS_IN_UPPER_CASE)
        ids = {
            "participantId": assignment.participant,
            "assignmentId": assignment.id,
            "projectId": assignment.project.id,
        }
        query = urlencode({name: value.upper() if is_upper else value for name, value in ids.items()})
        address = assignment.project.body.project_url or "/"
        return f"{address}{'&' if '?' in address else '?'}{query}"

    def _own_row(self, assignment: FakeAssignment) -> PageRow:
        base = f"/assignments/{assignment.id}"
        buttons: tuple[Button, ...] = ()
        link = None
        if assignment.status == "InProgress":
            buttons = (Button("Enter code", f"{base}/code", ("code",)), Button("Return", f"{base}/return"))
            link = (f"{base}/open", "Open")
        text = f"{assignment.project.body.name}: {assignment.status}"
        return PageRow(f"{text} ({assignment.message})" if assignment.message else text, buttons, link)

    def _facts(self, assignment: FakeAssignment) -> dict[str, object]:
        return {
            "id": assignment.id,
            "project": assignment.project.id,
            "status": assignment.status,
            "address": self._address(assignment),
            "paid_cents": assignment.paid_cents + assignment.bonus_cents,
            "message": assignment.message,
        }


def _signed_in(request: Request) -> str:
    person = person_of(request)
    if person is None:
        raise refuse_page(401, "Nobody is signed in in this browser.")
    return person.casefold()
