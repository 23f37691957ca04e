"""Limits of a router as settings of a run."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from subprocess import run

import httpx
import msgspec
import pytest
import trio

from mephisto_es.adapters.architects.contract import Deployment, ResourceBook
from mephisto_es.adapters.architects.router.limits import (
    MAX_BODY_BYTES,
    RouterArgs,
    changed_limits,
    check_router_limits,
)
from mephisto_es.adapters.architects.router.program import NODE_ROUTER
from mephisto_es.adapters.architects.router.python.settings import PREFIX, RouterSettings
from mephisto_es.adapters.channels.dial import MAX_FRAME_BYTES
from mephisto_es.core.abstractions.args import ArchitectArgs
from mephisto_es.core.errors import ConfigError

from .local_run import local

DEFAULTS = {name: value for name, value in asdict(RouterArgs()).items() if name not in asdict(ArchitectArgs())}
#: What is not for a run to say.
PLACES = {"static", "data", "fd", "host", "port", "version"}
SHOW_SETTINGS = """
import("./lib/settings.js").then(({ readSettings }) => console.log(JSON.stringify(readSettings(process.env))));
"""

with_node = pytest.param("node", marks=pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed"))


def test_every_limit_of_the_python_router_is_a_setting_with_its_default() -> None:
    assert {
        field.name: field.default for field in msgspec.structs.fields(RouterSettings) if field.name not in PLACES
    } == DEFAULTS


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_node_router_has_the_same_defaults(tmp_path: Path) -> None:
    environment = {"MEPHISTO_ROUTER_SECRET": "x", "MEPHISTO_ROUTER_STATIC": str(tmp_path), "MEPHISTO_ROUTER_DATA": "x"}
    node = str(shutil.which("node"))
    shown = run([node, "-e", SHOW_SETTINGS], cwd=NODE_ROUTER, env=environment, capture_output=True, check=True)
    settings = msgspec.json.decode(shown.stdout)
    in_camel_case = {name: name.title().replace("_", "") for name in DEFAULTS}
    assert {name: settings[camel[0].lower() + camel[1:]] for name, camel in in_camel_case.items()} == DEFAULTS


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"max_body_bytes": 0}, r"mephisto\.architect\.max_body_bytes is 0\..*more than 0 and at most 33554432"),
        ({"max_body_bytes": MAX_BODY_BYTES + 1}, "at most 33554432"),
        ({"max_packet_bytes": MAX_BODY_BYTES + 1}, "at most 33554432"),
        ({"max_sockets": -1}, r"max_sockets is -1\. It must be more than 0"),
        ({"request_deadline_seconds": 0}, "request_deadline_seconds is 0"),
        ({"orphan_seconds": float("inf")}, "orphan_seconds is inf"),
        ({"heartbeat_limit_seconds": float("nan")}, "heartbeat_limit_seconds is nan"),
    ],
)
def test_a_limit_that_cannot_be_is_named(tmp_path: Path, settings: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        local(tmp_path, ResourceBook(), **settings)


@pytest.mark.parametrize("server_type", ["python", with_node])
async def test_limits_reach_the_router(tmp_path: Path, server_type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # What happens to be in the operator's own environment does not.
    monkeypatch.setenv(PREFIX + "MAX_BODY_BYTES", "10")
    architect = local(
        tmp_path, ResourceBook(), server_type=server_type, max_body_bytes=1000, request_deadline_seconds=0.2
    )
    with trio.fail_after(120):
        try:
            await architect.prepare()
            async with httpx.AsyncClient(base_url=await architect.deploy(), trust_env=False) as page:
                provider_data = {"worker_name": "W", "agent_registration_id": "A-W", "assignment_id": "A" * 900}
                fits = await page.post("/request_agent", json={"provider_data": provider_data})
                too_long = await page.post("/request_agent", json={"provider_data": provider_data, "more": "W" * 100})
        finally:
            await architect.shutdown()
    assert (fits.status_code, fits.json()["data"]["agent_id"]) == (200, None)  # nobody answered in time
    assert too_long.status_code == 413


@pytest.mark.parametrize(
    ("trusted", "is_proxied", "passed_on"), [(0, False, None), (0, True, "1"), (2, True, "2"), (1, False, "1")]
)
def test_a_web_server_in_front_is_trusted(trusted: int, is_proxied: bool, passed_on: str | None) -> None:
    args = RouterArgs(trusted_proxies=trusted)
    check_router_limits(args)
    assert changed_limits(args, is_proxied=is_proxied).get("TRUSTED_PROXIES") == passed_on


def test_the_largest_submission_fits_into_a_frame() -> None:
    # Behind it there is a batch of others; what the router adds to a packet is a few hundred bytes.
    assert 2 * MAX_BODY_BYTES < MAX_FRAME_BYTES


class TestBehindAWebServer:
    """Workers are sent to the public address; the operator goes to the router itself."""

    PUBLIC = "https://tasks.example.org"

    @pytest.mark.parametrize("public_url", [PUBLIC, f"{PUBLIC}/"])
    async def test_workers_are_sent_to_the_public_address(self, tmp_path: Path, public_url: str) -> None:
        resources = ResourceBook()
        architect = local(tmp_path, resources, public_url=public_url)
        with trio.fail_after(120):
            try:
                await architect.prepare()
                assert await architect.deploy() == self.PUBLIC
                deployment = Deployment(architect, resources, tmp_path, self.PUBLIC, [])
                callbacks = deployment.opened.append, deployment.lost.append, deployment.on_message
                [channel] = architect.get_channels(*callbacks)
                async with trio.open_nursery() as nursery:
                    await nursery.start(channel.open)
                    channel.close()
                [(number, state)] = resources.states.items()
                later = local(tmp_path, resources, public_url=public_url)
                assert await later.reattach(number, state.details) == self.PUBLIC
            finally:
                await architect.shutdown()

    @pytest.mark.parametrize(
        "public_url",
        [
            "tasks.example.org",
            "ftp://tasks.example.org",
            "https://",
            "https://tasks.example.org/rating",
            "https://tasks.example.org/?x=1",
            "https://me:secret@tasks.example.org",
            "https://tasks.example.org:port",
        ],
    )
    def test_an_address_that_pages_cannot_be_opened_at_is_named(self, tmp_path: Path, public_url: str) -> None:
        with pytest.raises(ConfigError, match=r"public_url is .*Write it like https://tasks\.example\.org"):
            local(tmp_path, ResourceBook(), public_url=public_url)
