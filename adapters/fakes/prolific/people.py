"""The pages of a fake Prolific on which people, or bots, take part: reserve, start, complete, return."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..pages import Button, PageRow, form_of, page, person_of, then
from ..wire import refuse_page
from .books import FakeStudy, FakeSubmission, RuleError
from .site import FakeProlific

#: Statuses in which a participant can still do something.
UNFINISHED = frozenset({"RESERVED", "ACTIVE", "TIMED-OUT", "AWAITING REVIEW"})
LONGEST_NAME = 100


class PeopleSite:
    """Pages for participants."""

    def __init__(self, site: FakeProlific) -> None:
        """Keep the site."""
        self._site = site
        self._books = site.ledger

    def routes(self) -> list[Route]:
        """Return the pages."""
        return [
            Route("/", self._home, methods=["GET"]),
            Route("/sign-in", self._sign_in, methods=["POST"]),
            Route("/studies/{study}/reserve", self._reserve, methods=["POST"]),
            Route("/submissions/complete", self._complete, methods=["GET"]),
            Route("/submissions/{submission}/open", self._open, methods=["GET", "POST"]),
            Route("/submissions/{submission}/code", self._code, methods=["POST"]),
            Route("/submissions/{submission}/return", self._return, methods=["POST"]),
        ]

    async def _home(self, request: Request) -> Response:
        person = person_of(request)
        if person is None:
            return page(
                request, "Prolific (simulated)", [PageRow("", (Button("Sign in", "/sign-in", ("person",)),))], {}
            )
        studies = [study for study in self._books.studies.values() if self._site.studies.admits(study, person) is None]
        mine = [one for one in self._books.submissions.values() if one.participant == person]
        rows = [
            *(PageRow(_offer(study), (Button("Reserve", f"/studies/{study.id}/reserve"),)) for study in studies),
            *(_own_row(one) for one in mine),
        ]
        facts = {
            "person": person,
            "studies": [{"id": one.id, "name": one.body.name, "reward_cents": one.body.reward} for one in studies],
            "submissions": [_facts(one) for one in mine],
        }
        return page(request, f"Prolific (simulated): {person}", rows, facts)

    async def _sign_in(self, request: Request) -> Response:
        person = (await form_of(request)).get("person") or self._books.new_id()
        if len(person) > LONGEST_NAME:
            raise refuse_page(400, "The name is too long.")
        return then(request, "/", {"person": person}, person)

    async def _reserve(self, request: Request) -> Response:
        study = self._books.studies.get(request.path_params["study"])
        if study is None:
            raise refuse_page(404, "There is no such study.")
        try:
            submission = self._site.submissions.reserve(study, _signed_in(request))
        except RuleError as error:
            raise refuse_page(409, str(error)) from error
        return then(request, "/", _facts(submission))

    async def _open(self, request: Request) -> Response:
        submission = self._mine(request)
        self._site.submissions.start(submission)
        return then(request, study_address(submission), _facts(submission))

    async def _code(self, request: Request) -> Response:
        return self._finish(request, self._mine(request), (await form_of(request)).get("code", ""))

    async def _complete(self, request: Request) -> Response:
        """Complete the submission of the person who is signed in, as a completion URL does."""
        person = _signed_in(request)
        open_ones = [
            one
            for one in self._books.submissions.values()
            if one.participant == person and one.status in {"ACTIVE", "TIMED-OUT"}
        ]
        if not open_ones:
            raise refuse_page(404, "You have no submission that can be completed.")
        return self._finish(request, open_ones[-1], request.query_params.get("cc", ""))

    async def _return(self, request: Request) -> Response:
        submission = self._mine(request)
        try:
            self._site.submissions.give_back(submission)
        except RuleError as error:
            raise refuse_page(409, str(error)) from error
        return then(request, "/", _facts(submission))

    def _finish(self, request: Request, submission: FakeSubmission, code: str) -> Response:
        try:
            self._site.submissions.enter_code(submission, code or "NOCODE")
        except RuleError as error:
            raise refuse_page(409, str(error)) from error
        return then(request, "/", _facts(submission))

    def _mine(self, request: Request) -> FakeSubmission:
        submission = self._books.submissions.get(request.path_params["submission"])
        if submission is None or submission.participant != _signed_in(request):
            raise refuse_page(404, "You have no such submission.")
        return submission


def study_address(submission: FakeSubmission) -> str:
    """Return the study's address for a participant, placeholders filled in."""
    address = submission.study.body.external_study_url or _next_page(submission)
    for placeholder, value in (
        ("{{%PROLIFIC_PID%}}", submission.participant),
        ("{{%STUDY_ID%}}", submission.study.id),
        ("{{%SESSION_ID%}}", submission.id),
    ):
        address = address.replace(placeholder, quote(value, safe=""))
    return address


def _next_page(submission: FakeSubmission) -> str:
    """Return the page of a Taskflow study for a submission: pages fill up in turn."""
    pages = [one.external_url for one in submission.study.body.access_details for _ in range(one.total_allocation)]
    return pages[int(submission.id[-6:], 16) % len(pages)]


def _signed_in(request: Request) -> str:
    person = person_of(request)
    if person is None:
        raise refuse_page(401, "Nobody is signed in.")
    return person


def _offer(study: FakeStudy) -> str:
    body = study.body
    return f"{body.name}: {body.reward / 100:.2f} USD, {body.estimated_completion_time} minutes"


def _own_row(submission: FakeSubmission) -> PageRow:
    base = f"/submissions/{submission.id}"
    text = f"{submission.study.body.name}: {submission.status}"
    if submission.return_requested_at is not None and submission.status in UNFINISHED:
        text += " (you are asked to return it)"
    buttons = []
    if submission.status in {"RESERVED", "ACTIVE"}:
        buttons.append(Button("Open", f"{base}/open"))
    if submission.status in {"ACTIVE", "TIMED-OUT"}:
        buttons.append(Button("Enter code", f"{base}/code", ("code",)))
    if submission.status in UNFINISHED:
        buttons.append(Button("Return", f"{base}/return"))
    return PageRow(text, tuple(buttons))


def _facts(submission: FakeSubmission) -> dict[str, object]:
    return {
        "id": submission.id,
        "study": submission.study.id,
        "status": submission.status,
        "address": study_address(submission),
        "return_requested": submission.return_requested_at is not None,
        "paid_cents": submission.reward_paid + sum(submission.bonuses),
        "message": submission.message,
    }
