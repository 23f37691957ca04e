"""The web application of a fake SONA: the calls that grant credit, pages for students, administration."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import escape

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from ..admin import admin_routes
from ..gateway import Gateway
from ..pages import Button, PageRow, form_of, page, person_of, then
from ..wire import FakeRefusalError, read_body, refuse_page
from .guesses import SonaGuess
from .site import FakeSignUp, FakeSona, FakeSonaStudy, GrantResult

SERVER_PATH = "/services/SonaAPI.svc/WebstudyCredit"
BROWSER_PATH = "/webstudy_credit.aspx"
LONGEST_NAME = 100

#: The form of `server-side-completion-url-responses`, with the namespaces that running sites use.
_NAMESPACES = (
    'xmlns:a="http://schemas.datacontract.org/2004/07/emsdotnet.sonasystems" '
    'xmlns:i="http://www.w3.org/2001/XMLSchema-instance"'
)
_NIL_FIELDS = ("anon_id_code", "email", "first_name", "last_name", "phone", "student_id_num", "user_id")
_MAINTENANCE = "<!DOCTYPE html><html><body><h1>The system is down for maintenance</h1></body></html>"


class _NewStudy(msgspec.Struct, forbid_unknown_fields=True):
    """A study, as a researcher describes it on a page."""

    url: str
    name: str = "Rate sentences"
    places: int = 10
    #: Local time of the school.
    deadline: str = ""


class _SonaSettings(msgspec.Struct, forbid_unknown_fields=True):
    """Settings that an administrator can change while the fake runs; None: as it was."""

    maintenance_calls: int | None = None
    #: `experiment_id/student` who did not show up.
    no_show: str | None = None


def people_routes(site: FakeSona) -> list[Route]:
    """Return the pages on which students take part."""
    pages = _SonaPages(site)
    return [
        Route("/", pages.home, methods=["GET"]),
        Route("/sign-in", pages.sign_in, methods=["POST"]),
        Route("/studies/{study}/sign-up", pages.sign_up, methods=["POST"]),
    ]


def sona_app(site: FakeSona) -> Gateway:
    """Return the application of a site."""
    pages = _SonaPages(site)
    inner = Starlette(
        routes=[
            Route(SERVER_PATH, pages.grant_to_server, methods=["GET"]),
            Route(BROWSER_PATH, pages.grant_to_browser, methods=["GET"]),
            Route("/fake/studies", pages.add_study, methods=["POST"]),
            Route("/fake/settings", pages.change_settings, methods=["POST"]),
            *people_routes(site),
        ]
    )
    gateway = Gateway(inner, site.agenda, site.faults, (SERVER_PATH, BROWSER_PATH))
    inner.router.routes.append(admin_routes(site, gateway))
    return gateway


class _SonaPages:
    """Answers of the site."""

    def __init__(self, site: FakeSona) -> None:
        self._site = site

    async def grant_to_server(self, request: Request) -> Response:
        """Grant credit by the server's call; the answer is XML."""
        if self._is_maintained():
            return HTMLResponse(_MAINTENANCE)
        result, sign_up = self._grant(request)
        is_error = result is not GrantResult.GRANTED
        status = 500 if is_error and self._site.guesses.is_flipped(SonaGuess.ERRORS_COME_WITH_500) else 200
        words = result.word if self._site.guesses.is_flipped(SonaGuess.TEXTS_ARE_CODES) else result.text
        body = _failure(words) if is_error or sign_up is None else _success(sign_up)
        return Response(body, status, media_type="application/xml")

    async def grant_to_browser(self, request: Request) -> Response:
        """Grant credit by a person's browser; the answer is a sentence."""
        if self._is_maintained():
            return HTMLResponse(_MAINTENANCE)
        result, _ = self._grant(request)
        return HTMLResponse(f"<!DOCTYPE html><html><body><p>{escape(result.text)}</p></body></html>")

    async def add_study(self, request: Request) -> Response:
        """Make a study; the answer has its completion URLs, as the study's page shows them."""
        try:
            body = await read_body(request, _NewStudy)
            study = self._site.add_study(
                body.name, body.url, body.places, body.deadline or next_week(self._site.clock.now())
            )
        except (FakeRefusalError, ValueError) as error:
            return Response(str(error), 400)
        base = str(request.base_url).rstrip("/")
        query = f"experiment_id={study.experiment_id}&credit_token={study.credit_token}&survey_code=XXXX"
        urls = {"server_url": f"{base}{SERVER_PATH}?{query}", "client_url": f"{base}{BROWSER_PATH}?{query}"}
        answer = {"experiment_id": study.experiment_id, "sample_link": self._sample_link(study), **urls}
        return Response(msgspec.json.encode(answer), media_type="application/json")

    async def change_settings(self, request: Request) -> Response:
        """Change settings."""
        try:
            settings = await read_body(request, _SonaSettings)
        except FakeRefusalError as error:
            return Response(str(error), 400)
        if settings.maintenance_calls is not None:
            self._site.maintenance_calls = settings.maintenance_calls
        if settings.no_show is not None:
            for one in self._site.sign_ups:
                if f"{one.study.experiment_id}/{one.student}" == settings.no_show:
                    one.status = "NoShow"
        return Response(status_code=204)

    async def home(self, request: Request) -> Response:
        """Show a student's studies."""
        student = person_of(request)
        if student is None:
            return page(request, "SONA (simulated)", [PageRow("", (Button("Sign in", "/sign-in", ("person",)),))], {})
        mine = [one for one in self._site.sign_ups if one.student == student]
        taken = {one.study.experiment_id for one in mine}
        others = [one for one in self._site.studies.values() if one.experiment_id not in taken]
        rows = [
            *(
                PageRow(
                    f"{one.name}: one credit, until {one.deadline}",
                    (Button("Sign up", f"/studies/{one.experiment_id}/sign-up"),),
                )
                for one in others
            ),
            *(
                PageRow(f"{one.study.name}: {one.status} (survey code {one.code})", (), (study_link(one), "Open"))
                for one in mine
            ),
        ]
        facts = {
            "person": student,
            "studies": [one.experiment_id for one in others],
            "sign_ups": [_sign_up_facts(one) for one in mine],
        }
        return page(request, f"SONA (simulated): {student}", rows, facts)

    async def sign_in(self, request: Request) -> Response:
        """Sign a student in."""
        student = (await form_of(request)).get("person") or "student"
        if len(student) > LONGEST_NAME:
            raise refuse_page(400, "The name is too long.")
        return then(request, "/", {"person": student}, student)

    async def sign_up(self, request: Request) -> Response:
        """Sign a student up for a study."""
        study, student = self._site.studies.get(request.path_params["study"]), person_of(request)
        if study is None or student is None:
            raise refuse_page(404, "There is no such study, or nobody is signed in.")
        try:
            sign_up = self._site.sign_up(study, student)
        except ValueError as error:
            raise refuse_page(409, str(error)) from error
        return then(request, "/", _sign_up_facts(sign_up))

    def _grant(self, request: Request) -> tuple[GrantResult, FakeSignUp | None]:
        query = request.query_params
        return self._site.grant(
            query.get("experiment_id", ""), query.get("credit_token", ""), query.get("survey_code", "")
        )

    def _is_maintained(self) -> bool:
        if self._site.maintenance_calls <= 0:
            return False
        self._site.maintenance_calls -= 1
        return True

    def _sample_link(self, study: FakeSonaStudy) -> str:
        return next(study_link(one) for one in self._site.sign_ups if one.study is study)


def study_link(sign_up: FakeSignUp) -> str:
    """Return the study's address for a student."""
    return sign_up.study.url.replace("%SURVEY_CODE%", sign_up.code)


def next_week(now: float) -> str:
    """Return a deadline one week after a time in seconds since the epoch, as a person would type it."""
    return (datetime.fromtimestamp(now, UTC) + timedelta(days=7)).strftime("%Y-%m-%d %H:%M")


def _sign_up_facts(sign_up: FakeSignUp) -> dict[str, object]:
    return {
        "study": sign_up.study.experiment_id,
        "status": sign_up.status,
        "code": sign_up.code,
        "address": study_link(sign_up),
    }


def _success(sign_up: FakeSignUp) -> str:
    nil = "".join(f'<a:{name} i:nil="true"/>' for name in _NIL_FIELDS)
    result = f"{nil}<a:credit_status>G</a:credit_status><a:signup_id>123</a:signup_id>"
    return _envelope(
        f'<a:Errors i:nil="true"/><a:Result>{result}<a:survey_code>{escape(sign_up.code)}</a:survey_code></a:Result>'
    )


def _failure(words: str) -> str:
    arrays = 'xmlns:b="http://schemas.microsoft.com/2003/10/Serialization/Arrays"'
    return _envelope(f'<a:Errors {arrays}><b:string>{escape(words)}</b:string></a:Errors><a:Result i:nil="true"/>')


def _envelope(content: str) -> str:
    return (
        '<WebstudyCreditResponse xmlns="http://tempuri.org/">'
        f"<WebstudyCreditResult {_NAMESPACES}>{content}</WebstudyCreditResult></WebstudyCreditResponse>"
    )
