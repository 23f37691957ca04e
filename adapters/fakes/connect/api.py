"""A fake Connect's API."""

from __future__ import annotations

from statistics import mean, median

from starlette.requests import Request
from starlette.responses import Response

from ..clock import iso_time
from ..wire import Endpoint, FakeRefusalError, number_in, read_body, write_answer
from . import schema
from .books import FakeAssignment, FakeProject, cents_of, dollars_of
from .guesses import ConnectGuess
from .projects import MIN_HOURLY_CENTS
from .site import FakeConnect

DEFAULT_PAGE, MAX_PAGE = 10, 100


class ConnectApi:
    """Answers calls."""

    def __init__(self, site: FakeConnect) -> None:
        """Keep the site."""
        self._site = site
        self._books = site.ledger

    def endpoints(self) -> list[tuple[str, str, Endpoint]]:
        """Return method, path and answer of each call."""
        project, work = "/api/v1/project/{project}", "/api/v1/assignments/{project}"
        return [
            ("GET", "/api/v1/account", self._account),
            ("POST", "/api/v1/account/validate-participants", self._validate),
            ("GET", "/api/v1/project", self._projects),
            ("POST", "/api/v1/project", self._create),
            ("GET", project, self._get),
            ("POST", project, self._change),
            ("POST", f"{project}/update-status", self._move),
            ("GET", f"{project}/statistics", self._statistics),
            ("GET", work, self._assignments),
            ("POST", f"{work}/approve", self._approve),
            ("POST", f"{work}/reject", self._reject),
            ("POST", f"{work}/reverse-reject", self._reverse),
            ("POST", f"{work}/bonus", self._bonus),
            ("POST", "/api/v1/demographics/feasibility", self._feasibility),
            ("POST", "/api/v1/conversations/send-message", self._message),
            ("POST", "/api/v1/conversations/send-bulk-message", self._messages),
        ]

    async def _account(self, _: Request) -> Response:
        return write_answer(schema.AccountDocument(dollars_of(self._books.balance)))

    async def _validate(self, request: Request) -> Response:
        ids = (await read_body(request, schema.ValidateBody)).participant_ids
        known = {one.participant for one in self._books.assignments.values()}
        if self._site.guesses.is_flipped(ConnectGuess.VALIDATION_IS_A_LIST):
            return write_answer([{"participantId": one, "isValid": one.casefold() in known} for one in ids])
        return write_answer({"validParticipantIds": [one for one in ids if one.casefold() in known]})

    async def _projects(self, request: Request) -> Response:
        now = self._site.clock.now()
        size = number_in(request, "Size", DEFAULT_PAGE, MAX_PAGE)
        token, status = request.query_params.get("NextToken"), request.query_params.get("Status")
        offset = self._books.page_offset(token, now) if token else 0
        found = [
            project
            for project in reversed(self._books.projects.values())
            if project.listed_at <= now and status in {None, project.status}
        ]
        page = [self._document(project) for project in found[offset : offset + size]]
        following = self._books.page_token(offset + size, now) if offset + size < len(found) else None
        return write_answer(schema.ProjectsDocument(page, following))

    async def _create(self, request: Request) -> Response:
        body = await read_body(request, schema.ProjectBody)
        return self._shown(self._site.projects.create(body))

    async def _get(self, request: Request) -> Response:
        return self._shown(self._project(request))

    async def _change(self, request: Request) -> Response:
        project = self._project(request)
        self._site.projects.change(project, await read_body(request, schema.ChangeBody))
        return self._shown(project)

    async def _move(self, request: Request) -> Response:
        project = self._project(request)
        self._site.projects.move(project, (await read_body(request, schema.StatusBody)).status)
        return Response(status_code=200)

    async def _statistics(self, request: Request) -> Response:
        project = self._project(request)
        everyone = self._books.of_project(project)

        def count(*statuses: str) -> int:
            return sum(one.status in statuses for one in everyone)

        minutes = [(one.completed_at - one.started_at) / 60 for one in everyone if one.completed_at is not None]
        rate = len(minutes) / len(everyone) if everyone else 0.0
        return write_answer(
            schema.StatisticsDocument(
                project.id,
                count("Pending"),
                count("Approved", "Rejected"),
                count("InProgress"),
                count("Approved"),
                rate,
                1 - rate if everyone else 0.0,
                mean(minutes) if minutes else 0.0,
                median(minutes) if minutes else 0.0,
            )
        )

    async def _assignments(self, request: Request) -> Response:
        shown = self._site.assignments.shown(self._project(request))
        return write_answer(schema.AssignmentsDocument([_assignment(one) for one in shown]))

    async def _approve(self, request: Request) -> Response:
        body = await read_body(request, schema.ReviewBody)
        self._site.assignments.approve(self._project(request), body.participants)
        return Response(status_code=200)

    async def _reject(self, request: Request) -> Response:
        body = await read_body(request, schema.ReviewBody)
        self._site.assignments.reject(self._project(request), body.participants)
        return Response(status_code=200)

    async def _reverse(self, request: Request) -> Response:
        body = await read_body(request, schema.ReviewBody)
        self._site.assignments.reverse(self._project(request), body.participants)
        return Response(status_code=200)

    async def _bonus(self, request: Request) -> Response:
        body = await read_body(request, schema.BonusesBody)
        self._site.assignments.bonus(self._project(request), body.bonus_payment)
        return Response(status_code=200)

    async def _feasibility(self, request: Request) -> Response:
        body = await read_body(request, schema.FeasibilityBody)
        cents = cents_of(body.payment)
        cost = dollars_of(body.participants * self._books.with_fee(cents))
        is_feasible = cents * 60 >= MIN_HOURLY_CENTS * body.estimated_time_in_minutes
        return write_answer(
            schema.FeasibilityDocument(cost if is_feasible else None, ["Connect"] if is_feasible else [])
        )

    async def _message(self, request: Request) -> Response:
        body = await read_body(request, schema.DirectMessageBody)
        self._books.messages.append((body.recipient_id, body.subject, body.message))
        return Response(status_code=200)

    async def _messages(self, request: Request) -> Response:
        body = await read_body(request, schema.DirectMessagesBody)
        self._books.messages += [(one, body.subject, body.message) for one in body.participant_ids]
        return Response(status_code=200)

    def _project(self, request: Request) -> FakeProject:
        project = self._books.projects.get(request.path_params["project"])
        if project is None:
            raise FakeRefusalError(400, "the project does not exist")
        return project

    def _shown(self, project: FakeProject) -> Response:
        return write_answer(schema.OneProjectDocument(self._document(project)))

    def _document(self, project: FakeProject) -> schema.ProjectDocument:
        body = project.body
        return schema.ProjectDocument(
            project_id=project.id,
            name=body.name,
            payment=body.payment,
            estimated_time_in_minutes=body.estimated_time_in_minutes,
            participants=body.participants,
            total_cost=dollars_of(self._site.projects.cost(project)),
            created_at=iso_time(project.created_at),
            internal_name=body.internal_name,
            project_url=body.project_url,
            summary=body.summary,
            instructions=body.instructions,
            max_time_in_minutes=project.longest_minutes,
            status=project.status if self._site.guesses.is_flipped(ConnectGuess.STATUS_IS_SHOWN) else None,
        )


def _assignment(one: FakeAssignment) -> schema.AssignmentDocument:
    is_complete = one.completed_at is not None
    return schema.AssignmentDocument(
        participant_id=one.participant,
        assignment_id=one.id,
        start_time=iso_time(one.started_at),
        completion_time=None if one.completed_at is None else iso_time(one.completed_at),
        status=one.status if one.status in {"Approved", "Rejected"} else "Pending",
        payment=one.project.body.payment,
        bonus=dollars_of(one.bonus_cents),
        completion=schema.CompletionDocument(one.code, one.completed_by) if is_complete else None,
    )
