"""The documentation of the simulated sites names each request by which people take part."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from starlette.routing import Route

import mephisto_es
from mephisto_es.adapters.fakes.connect.api import ConnectApi
from mephisto_es.adapters.fakes.connect.people import ConnectPeopleSite
from mephisto_es.adapters.fakes.connect.site import FakeConnect
from mephisto_es.adapters.fakes.prolific.api_studies import StudiesApi
from mephisto_es.adapters.fakes.prolific.people import PeopleSite
from mephisto_es.adapters.fakes.prolific.site import FakeProlific
from mephisto_es.adapters.fakes.sona.app import people_routes
from mephisto_es.adapters.fakes.sona.site import FakeSona

PAGE = Path(mephisto_es.__file__).parent / "docs" / "providers.md"
#: Site, method and path of a line of a table.
LINE = re.compile(r"^\| (prolific|connect|sona) \| `(GET|POST) (/[^`]*)`", re.MULTILINE)

Requests = set[tuple[str, str, str]]


def still() -> float:
    return 0.0


def documented() -> Requests:
    return set(LINE.findall(PAGE.read_text(encoding="utf-8")))


def requests_of(site: str, routes: Iterable[Route]) -> Requests:
    return {(site, method, one.path) for one in routes for method in (one.methods or ()) if method != "HEAD"}


def test_each_request_of_people_is_documented_and_no_other() -> None:
    people = {one for one in documented() if not one[2].startswith("/api/")}
    assert people == {
        *requests_of("prolific", PeopleSite(FakeProlific(still)).routes()),
        *requests_of("connect", ConnectPeopleSite(FakeConnect(still)).routes()),
        *requests_of("sona", people_routes(FakeSona(still))),
    }


def test_the_researchers_requests_exist() -> None:
    researchers = {one for one in documented() if one[2].startswith("/api/")}
    assert researchers
    prolific = {("prolific", method, path) for method, path, _ in StudiesApi(FakeProlific(still)).endpoints()}
    connect = {("connect", method, path) for method, path, _ in ConnectApi(FakeConnect(still)).endpoints()}
    assert researchers <= prolific | connect
