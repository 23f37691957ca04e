"""A fake Prolific's API for studies, submissions and bonuses."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from starlette.requests import Request
from starlette.responses import Response

from ..clock import iso_time
from ..wire import Endpoint, FakeRefusalError, read_body, write_answer
from . import documents, schema
from .books import FakeSetup, FakeStudy, FakeSubmission, RuleError, fee_of, vat_of
from .replies import cost_answer, listed_answer, paged, shown_status, single_answer, study_answer
from .site import FakeProlific

STATUSES = (
    *("ACTIVE", "APPROVED", "AWAITING REVIEW", "PARTIALLY APPROVED", "REJECTED"),
    *("RESERVED", "RETURNED", "SCREENED OUT", "TIMED-OUT"),
)


class StudiesApi:
    """Answers calls about studies and submissions."""

    def __init__(self, site: FakeProlific) -> None:
        """Keep the site."""
        self._site = site
        self._books = site.ledger

    def endpoints(self) -> list[tuple[str, str, Endpoint]]:
        """Return method, path and answer of each call."""
        study, submission = "/api/v1/studies/{study}", "/api/v1/submissions/{submission}"
        return [
            ("GET", "/api/v1/studies/", self._studies),
            ("POST", "/api/v1/studies/", self._create),
            ("GET", "/api/v1/projects/{project}/studies/", self._studies),
            ("GET", f"{study}/", self._get),
            ("PATCH", f"{study}/", self._update),
            ("DELETE", f"{study}/", self._delete),
            ("POST", f"{study}/transition/", self._transition),
            ("GET", f"{study}/cost/", self._cost),
            ("POST", f"{study}/test-study/", self._test),
            ("GET", f"{study}/submissions/", self._submissions),
            ("GET", f"{study}/submissions/counts/", self._counts),
            ("POST", "/api/v1/submissions/bulk-approve/", self._bulk_approve),
            ("POST", "/api/v1/submissions/bonus-payments/", self._set_up_bonus),
            ("POST", "/api/v1/bulk-bonus-payments/{setup}/pay/", self._pay_bonus),
            ("GET", f"{submission}/", self._submission),
            ("POST", f"{submission}/transition/", self._transition_submission),
            ("POST", f"{submission}/request-return/", self._request_return),
        ]

    async def _studies(self, request: Request) -> Response:
        project, now = request.path_params.get("project"), self._site.clock.now()
        found = [
            self._answer(study, request)
            for study in reversed(self._books.studies.values())
            if study.listed_at <= now and project in {None, study.body.project}
        ]
        return paged(request, found, documents.WireList[documents.WireStudy])

    async def _create(self, request: Request) -> Response:
        body = await read_body(request, schema.CreateStudyBody)
        try:
            study = self._site.studies.create(body)
        except RuleError as error:
            raise FakeRefusalError(400, str(error)) from error
        return write_answer(self._answer(study, request), 201)

    async def _get(self, request: Request) -> Response:
        return write_answer(self._answer(self._study(request), request))

    async def _update(self, request: Request) -> Response:
        study = self._study(request)
        change = await read_body(request, schema.UpdateStudyBody)
        try:
            self._site.studies.update(study, change)
        except RuleError as error:
            raise FakeRefusalError(400, str(error)) from error
        return write_answer(self._answer(study, request))

    async def _delete(self, request: Request) -> Response:
        try:
            self._site.studies.delete(self._study(request))
        except RuleError as error:
            raise FakeRefusalError(400, str(error)) from error
        return Response(status_code=204)

    async def _transition(self, request: Request) -> Response:
        study = self._study(request)
        body = await read_body(request, schema.TransitionStudyBody)
        try:
            self._site.studies.transition(study, body.action)
        except RuleError as error:
            raise FakeRefusalError(400, str(error)) from error
        return write_answer(self._answer(study, request))

    async def _cost(self, request: Request) -> Response:
        return write_answer(cost_answer(self._books.submissions_of(self._study(request))))

    async def _test(self, request: Request) -> Response:
        study = self._study(request)
        return write_answer(documents.WireTestStudy(self._books.new_id(), f"{_site_url(request)}/?study={study.id}"))

    async def _submissions(self, request: Request) -> Response:
        study, now = self._study(request), self._site.clock.now()
        found = [
            listed_answer(one, shown_status(one, now, self._site.guesses))
            for one in self._books.submissions_of(study)
            if one.visible_at <= now
        ]
        return paged(request, found, documents.WireList[documents.WireListedSubmission])

    async def _counts(self, request: Request) -> Response:
        counted = Counter(one.status for one in self._books.submissions_of(self._study(request)))
        return write_answer({status: counted[status] for status in STATUSES} | {"TOTAL": counted.total()})

    async def _submission(self, request: Request) -> Response:
        return self._shown(self._find(request))

    async def _transition_submission(self, request: Request) -> Response:
        submission = self._find(request)
        body = await read_body(request, schema.TransitionSubmissionBody)
        try:
            self._site.submissions.transition(submission, body)
        except RuleError as error:
            raise FakeRefusalError(400, str(error)) from error
        return self._shown(submission)

    async def _request_return(self, request: Request) -> Response:
        submission = self._find(request)
        await read_body(request, schema.ReturnBody)
        try:
            status = self._site.submissions.request_return(submission)
        except RuleError as error:
            raise FakeRefusalError(400, str(error)) from error
        requested = iso_time(submission.return_requested_at or 0)
        return write_answer(documents.WireReturnRequest(submission.id, status, submission.participant, requested))

    async def _bulk_approve(self, request: Request) -> Response:
        body = await read_body(request, schema.BulkApproveBody)
        unknown = [one for one in body.submission_ids if one not in self._books.submissions]
        if unknown:
            raise FakeRefusalError(400, f"not found: {', '.join(unknown)}")
        self._site.submissions.approve_in_background([self._books.submissions[one] for one in body.submission_ids])
        return write_answer(documents.WireSentence("The request to bulk approve has been made successfully."))

    async def _set_up_bonus(self, request: Request) -> Response:
        body = await read_body(request, schema.BonusBody)
        study = self._books.studies.get(body.study_id)
        if study is None:
            raise FakeRefusalError(400, "there is no such study")
        try:
            setup = self._site.bonuses.set_up(study, body.csv_bonuses)
        except RuleError as error:
            raise FakeRefusalError(400, str(error)) from error
        return write_answer(_setup_answer(setup), 201)

    async def _pay_bonus(self, request: Request) -> Response:
        setup = self._books.setups.get(request.path_params["setup"])
        if setup is None:
            raise FakeRefusalError(404, "Not found.")
        try:
            self._site.bonuses.pay(setup)
        except RuleError as error:
            raise FakeRefusalError(400, str(error)) from error
        return write_answer(f"Bulk bonus payment with ID {setup.id} is being processed asynchronously.", 202)

    def _study(self, request: Request) -> FakeStudy:
        study = self._books.studies.get(request.path_params["study"])
        if study is None:
            raise FakeRefusalError(404, "Not found.")
        return study

    def _find(self, request: Request) -> FakeSubmission:
        submission = self._books.submissions.get(request.path_params["submission"])
        if submission is None or submission.visible_at > self._site.clock.now():
            raise FakeRefusalError(404, "Not found.")
        return submission

    def _shown(self, submission: FakeSubmission) -> Response:
        status = shown_status(submission, self._site.clock.now(), self._site.guesses)
        return write_answer(single_answer(submission, status))

    def _answer(self, study: FakeStudy, request: Request) -> documents.WireStudy:
        return study_answer(study, self._site.studies.places_taken(study), _site_url(request))


def _setup_answer(setup: FakeSetup) -> documents.WireBonusSetup:
    amounts = [cents for _, cents in setup.lines]
    fees, vat = (sum(map(part, amounts), Decimal(0)) for part in (fee_of, vat_of))
    total = sum(amounts)
    return documents.WireBonusSetup(setup.id, setup.study.id, Decimal(total), fees, vat, total + fees + vat)


def _site_url(request: Request) -> str:
    return str(request.base_url).rstrip("/")
