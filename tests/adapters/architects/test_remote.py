"""Runs that are served through routers of other machines."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import httpx
import msgspec
import pytest
import trio

from mephisto_es.adapters.architects.contract import PAGE, PageServerContract, ResourceBook
from mephisto_es.adapters.architects.remote import RemoteArchitect
from mephisto_es.adapters.architects.router.handshake import RouterFigures, check_fits
from mephisto_es.core.abstractions.architect import Architect
from mephisto_es.core.abstractions.blueprint import SharedTaskState
from mephisto_es.core.abstractions.resources import Resources
from mephisto_es.core.errors import ConfigError, LaunchError
from mephisto_es.core.lifecycles.resource import ResourceStatus
from mephisto_es.core.packets import Inbound, RouterState

from ...ports import free_port
from .remote_routers import ServedRouter, constructed, remote, remote_config, serving
from .tls import tls_in_front_of

LIMIT_SECONDS = 120


class OtherRun(ResourceBook):
    """The book of another run, or of a run in another log."""

    def secret_for(self, purpose: str) -> str:
        return super().secret_for(f"other {purpose}")


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedRouter]:
    with serving(tmp_path_factory.mktemp("vm")) as router:
        yield router


@pytest.fixture(scope="module")
def node_router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedRouter]:
    with serving(tmp_path_factory.mktemp("vm"), "--node") as router:
        yield router


class RemoteContract(PageServerContract):
    outlives_runs: ClassVar[bool] = True

    served: ServedRouter

    def make(self, folder: Path, resources: Resources) -> Architect:
        return remote(folder, resources, remote_config([self.served]))


class TestWithPythonRouter(RemoteContract):
    @pytest.fixture(autouse=True)
    def use(self, router: ServedRouter) -> None:
        self.served = router


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
class TestWithNodeRouter(RemoteContract):
    limit_seconds = 300

    @pytest.fixture(autouse=True)
    def use(self, node_router: ServedRouter) -> None:
        self.served = node_router


async def deployed(architect: RemoteArchitect, page: str = PAGE) -> str:
    static_dir = await architect.prepare()
    (static_dir / "index.html").write_text(page)
    return await architect.deploy()


def page_of(url: str) -> str:
    return httpx.get(url, trust_env=False, timeout=LIMIT_SECONDS).text


async def test_a_router_belongs_to_one_run_until_that_is_over(router: ServedRouter, tmp_path: Path) -> None:
    config = remote_config([router])
    book, other_book = ResourceBook(), OtherRun()
    with trio.fail_after(LIMIT_SECONDS):
        first, second = remote(tmp_path / "a", book, config), remote(tmp_path / "b", other_book, config)
        url = await deployed(first)
        with pytest.raises(LaunchError, match=r"This router serves another run\. End that run first, or use another"):
            await deployed(second, "<p>other</p>")
        await second.shutdown()  # as the operator does; the router stays with the first
        assert PAGE in page_of(url)
        [details] = [state.details for state in book.states.values()]
        # A process of the run that comes later finds it by what was recorded.
        with pytest.raises(ConfigError, match="serves another run, whose operator is away"):
            remote(tmp_path / "c", OtherRun(), config)
        later = constructed(tmp_path / "a", book, config)
        assert await later.reattach(1, details) == url
        await RemoteArchitect.release(details)
        assert PAGE not in page_of(url)
        assert other_book.count(ResourceStatus.RELEASED) == len(other_book.states)
        third = remote(tmp_path / "b", OtherRun(), config)
        await deployed(third, "<p>other</p>")
        with pytest.raises(LaunchError, match="serves another run"):
            await later.reattach(1, details)
        await third.shutdown()


async def test_a_run_is_resumed_from_another_folder(
    router: ServedRouter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(router.secret_file.parent)
    config, book = remote_config([router], secret_file=router.secret_file.name), ResourceBook()
    with trio.fail_after(LIMIT_SECONDS):
        url = await deployed(remote(tmp_path / "a", book, config))
        [details] = [state.details for state in book.states.values()]
        monkeypatch.chdir(tmp_path)
        later = constructed(tmp_path / "a", book, config)
        later.return_to(details)
        assert await later.reattach(1, details) == url
        await later.shutdown()


async def test_without_its_page_a_run_is_deployed_again(router: ServedRouter, tmp_path: Path) -> None:
    config = remote_config([router])
    with trio.fail_after(LIMIT_SECONDS):
        architect = remote(tmp_path / "a", ResourceBook(), config)
        url = await deployed(architect)
        elsewhere = constructed(tmp_path / "b", ResourceBook(), config)
        assert await elsewhere.reattach(1, {"urls": url}) is None
        elsewhere.return_to({"urls": url})
        assert await deployed(elsewhere) == url
        await elsewhere.shutdown()


def test_wrong_settings_are_named_before_anything_is_launched(router: ServedRouter, tmp_path: Path) -> None:
    def complaint(**settings: object) -> str:
        with pytest.raises(ConfigError) as caught:
            remote(tmp_path, ResourceBook(), remote_config([router], **settings))
        return str(caught.value)

    guess, open_file, short = tmp_path / "guess", tmp_path / "open", tmp_path / "short"
    for file, mode, content in ((guess, 0o600, "x" * 64), (open_file, 0o644, "x" * 64), (short, 0o600, "x")):
        file.write_text(content)
        file.chmod(mode)
    nobody = f"http://127.0.0.1:{free_port()}"
    assert "urls is empty" in complaint(urls=[])
    assert "without a path" in complaint(urls=["http://localhost/x"])
    assert "cannot be reached" in complaint(urls=[nobody])
    assert "everybody on the way could read" in complaint(urls=["http://router.example.org"])
    assert "does not speak TLS" in complaint(urls=[router.url.replace("http:", "https:")])
    assert "was started with another secret" in complaint(secret_file=str(guess))
    assert f"chmod 600 {open_file}" in complaint(secret_file=str(open_file))
    assert "fewer than 16 characters" in complaint(secret_file=str(short))
    assert "cannot be read from" in complaint(secret_file=str(tmp_path / "nothing"))
    assert "secret_file is missing" in complaint(secret_file=None)
    assert "no certificate" in complaint(ca_file=str(guess))
    assert "public_url is missing" in complaint(urls=[router.url] * 2, public_url=None)
    assert "patience_seconds is 0" in complaint(patience_seconds=0)


async def test_everything_goes_through_tls(router: ServedRouter, tmp_path: Path) -> None:
    ca_file = tmp_path / "authority.pem"
    with trio.fail_after(LIMIT_SECONDS):
        async with tls_in_front_of(router.port, ca_file) as url:
            settings: dict[str, object] = {"urls": [url], "public_url": url, "ca_file": str(ca_file)}
            config = remote_config([router], **settings)
            in_thread = trio.to_thread.run_sync  # it blocks, and we serve it
            await in_thread(RemoteArchitect.assert_task_args, config, SharedTaskState())
            config.architect.ca_file = None
            with pytest.raises(ConfigError, match=r"certificate .* is not trusted: .*architect\.ca_file"):
                await in_thread(RemoteArchitect.assert_task_args, config, SharedTaskState())
            config.architect.ca_file = str(ca_file)

            architect = constructed(tmp_path / "a", ResourceBook(), config)
            assert await deployed(architect) == url
            received: list[Inbound] = []

            async def on_message(_: str, packet: Inbound) -> None:
                received.append(packet)
                await trio.lowlevel.checkpoint()

            [channel] = architect.get_channels(lambda _: None, lambda _: None, on_message)
            async with trio.open_nursery() as nursery:
                await nursery.start(channel.open)
                assert isinstance(received[0], RouterState)
                channel.close()
            await architect.shutdown()


def test_a_router_that_does_not_fit_is_refused() -> None:
    def complaint(**different: object) -> str:
        fits: dict[str, object] = {"page": "none", "operator_attached": False, "outbox_length": 0, "version": "1.2"}
        figures = msgspec.convert({**fits, **different}, RouterFigures)
        with pytest.raises(ConfigError) as caught:
            check_fits("https://router", figures, "1.2")
        return str(caught.value)

    assert "with `mephisto-es router serve`: the operator sends the page" in complaint(page="own")
    assert "is of version unknown, and this is 1.2" in complaint(version="")
    assert "Install the same version on both machines" in complaint(version="1.1")
