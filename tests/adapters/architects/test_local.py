from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import sys
from pathlib import Path

import httpx
import pytest
import trio

from mephisto_es.adapters.architects.contract import Deployment, PageServerContract, ResourceBook, answers
from mephisto_es.adapters.architects.local import LocalArchitect
from mephisto_es.adapters.architects.router.process import LOG_FILE, PID_FILE, wait_for_end
from mephisto_es.adapters.architects.router.secret_file import SECRET_FILE
from mephisto_es.core.abstractions.architect import Architect
from mephisto_es.core.abstractions.resources import Details, Resources
from mephisto_es.core.errors import ConfigError, LaunchError
from mephisto_es.core.lifecycles.resource import ResourceStatus
from mephisto_es.events.resource import ResourceAcquired, ResourceEvent, ResourceIntended, ResourceReleased

from ...ports import free_port
from .local_run import local, run_config


class TestWithPythonRouter(PageServerContract):
    def make(self, folder: Path, resources: Resources) -> Architect:
        return local(folder, resources)


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
class TestWithNodeRouter(PageServerContract):
    limit_seconds = 300

    def make(self, folder: Path, resources: Resources) -> Architect:
        return local(folder, resources, server_type="node")


def test_a_port_in_use_is_named_before_anything_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} of localhost: Address already in use.*0 for any free one"):
            local(tmp_path, ResourceBook(), port=port)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"port": 65536}, "port is 65536"),
        ({"port": -1}, "port is -1"),
        ({"hostname": "no such host"}, "'no such host' is not a name or address"),
        ({"hostname": "192.0.2.1"}, r"port 0 of 192\.0\.2\.1"),
        ({"server_type": "nod"}, "no router 'nod'. Did you mean 'node'"),
        ({"server_source_path": "nowhere"}, r"nowhere has no server\.js"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, settings: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        local(tmp_path, ResourceBook(), **settings)


def test_the_port_may_be_written_as_a_string() -> None:
    assert run_config(port="3001").architect.port == 3001


def test_node_has_to_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"needs node, which is not on the PATH\..*server_type=python"):
        local(tmp_path, ResourceBook(), server_type="node")


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
async def test_packages_that_cannot_be_installed_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, build_dir = tmp_path / "project", tmp_path / "build"
    project.mkdir()
    build_dir.mkdir()
    (project / "server.js").write_text("")
    (project / "package.json").write_text('{"name": "mine", "dependencies": {"left": "1"}}')
    (project / "package-lock.json").write_text('{"lockfileVersion": 3, "packages": {}}')
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    architect = local(build_dir, ResourceBook(), server_source_path=str(project))
    with trio.fail_after(120), pytest.raises(LaunchError, match="npm could not install the router's packages"):
        await architect.prepare()
    await architect.shutdown()
    assert list((tmp_path / "cache" / "mephisto-es" / "router").iterdir()) == []


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
async def test_a_router_that_ends_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    project, build_dir = tmp_path / "project", tmp_path / "build"
    project.mkdir()
    build_dir.mkdir()
    (project / "server.js").write_text('console.error("this router cannot work"); process.exit(3);')
    (project / "package.json").write_text('{"name": "mine", "version": "1.0.0"}')
    (project / "package-lock.json").write_text(
        '{"name": "mine", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"name": "mine"}}}'
    )
    resources = ResourceBook()
    architect = local(build_dir, resources, server_source_path=str(project))
    with trio.fail_after(120):
        await architect.prepare()
        with pytest.raises(LaunchError, match="ended with status 3: this router cannot work"):
            await architect.deploy()
    assert resources.count(ResourceStatus.RELEASED) == 1


async def test_secrets_are_in_a_file_that_is_ours_alone_and_nowhere_else(tmp_path: Path) -> None:
    resources = ResourceBook()
    architect = local(tmp_path, resources)
    with trio.fail_after(120):
        await architect.prepare()
        (tmp_path / "static" / "index.html").write_text("")
        await architect.deploy()
        pid = next(iter(resources.states.values())).details["pid"]
        secret = (tmp_path / SECRET_FILE).read_text()
        listed = await trio.run_process(["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_stdout=True)
        await architect.shutdown()
    assert len(secret) > 20
    assert stat.S_IMODE((tmp_path / SECRET_FILE).stat().st_mode) == 0o600
    command = listed.stdout.decode()
    assert "router" in command
    for told in (command, repr(resources.states), (tmp_path / LOG_FILE).read_text()):
        assert secret not in told


async def test_a_router_that_does_not_listen_to_reason_is_killed(tmp_path: Path) -> None:
    resources = ResourceBook()
    architect = local(tmp_path, resources)
    with trio.fail_after(120):
        await architect.prepare()
        url = await architect.deploy()
        pid = int(next(iter(resources.states.values())).details["pid"])
        os.kill(pid, signal.SIGSTOP)
        with trio.move_on_after(0.5):
            await architect.shutdown()
        assert not await answers(url)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


CRASHING_OPERATOR = """
import os, signal, sys, trio
from pathlib import Path
from omegaconf import OmegaConf
from mephisto_es.adapters.architects.contract import ResourceBook
from mephisto_es.adapters.architects.local import LocalArchitect
from mephisto_es.core.abstractions.architect import ArchitectContext
from mephisto_es.core.abstractions.blueprint import SharedTaskState

open_process = trio.lowlevel.open_process

async def die_with_the_number(*args, **keywords):
    await open_process(*args, **keywords)
    os.killpg(0, signal.SIGKILL)

async def main():
    if sys.argv[2] == "at once":
        trio.lowlevel.open_process = die_with_the_number
    args = OmegaConf.create({"architect": OmegaConf.structured(LocalArchitect.ArgsClass(port=0))})
    architect = LocalArchitect(ArchitectContext(args, SharedTaskState(), 1, Path(sys.argv[1]), ResourceBook()))
    (await architect.prepare() / "index.html").write_text("still here")
    await architect.deploy()
    os.killpg(0, signal.SIGKILL)

trio.run(main)
"""


async def crash(folder: Path, when: str) -> None:
    """Let an operator be killed that has started a router."""
    crashed = await trio.run_process(
        [sys.executable, "-c", CRASHING_OPERATOR, str(folder), when], check=False, start_new_session=True
    )
    assert crashed.returncode == -signal.SIGKILL


@pytest.fixture
async def left_behind(tmp_path: Path) -> tuple[ResourceBook, int, Details]:
    """Leave a router in `tmp_path` whose operator was killed; return its records."""
    await crash(tmp_path, "when the router answers")
    resources = ResourceBook()
    pid = int((tmp_path / PID_FILE).read_text())
    port = listening_port(tmp_path / LOG_FILE)
    details: Details = {"url": f"http://localhost:{port}", "port": port, "pid": pid}
    number = await resources.intend("local_router", details)
    await resources.acquired(number, details)
    return resources, number, details


def listening_port(log_file: Path) -> int:
    return int(json.loads(log_file.read_text().splitlines()[0])["listening"].rpartition(":")[2])


async def test_a_router_outlives_its_operator_and_is_taken_up_by_the_next(
    tmp_path: Path, left_behind: tuple[ResourceBook, int, Details]
) -> None:
    resources, number, details = left_behind
    url = str(details["url"])
    architect = local(tmp_path, resources)
    with trio.fail_after(120):
        assert await architect.reattach(number, details) == url
        async with httpx.AsyncClient(trust_env=False) as page:
            assert (await page.get(url)).text == "still here"
        deployment = Deployment(architect, resources, tmp_path, url, [])
        [channel] = architect.get_channels(deployment.opened.append, deployment.lost.append, deployment.on_message)
        async with trio.open_nursery() as nursery:
            await nursery.start(channel.open)
            channel.close()
        await architect.shutdown()
        assert not await answers(url)
    assert resources.count(ResourceStatus.RELEASED) == 1


async def test_a_router_that_died_as_well_comes_back_at_the_same_url(
    tmp_path: Path, left_behind: tuple[ResourceBook, int, Details]
) -> None:
    resources, number, details = left_behind
    os.killpg(int(details["pid"]), signal.SIGKILL)
    architect = local(tmp_path, resources)
    with trio.fail_after(120):
        await wait_for_end(int(details["pid"]))
        architect.return_to(details)
        assert await architect.reattach(number, details) is None
        await resources.released(number, "it is not there")
        await architect.prepare()
        assert await architect.deploy() == details["url"]
        await architect.shutdown()


async def test_a_router_is_taken_up_whose_number_its_operator_never_knew(tmp_path: Path) -> None:
    with trio.fail_after(120):
        await crash(tmp_path, "at once")
        while not (tmp_path / LOG_FILE).read_text().endswith("}\n"):  # noqa: ASYNC110 - another process is watched
            await trio.sleep(0.05)
        port = listening_port(tmp_path / LOG_FILE)
        resources = ResourceBook()
        details: Details = {"url": f"http://localhost:{port}", "port": port}
        architect = local(tmp_path, resources)
        number = await resources.intend("local_router", details)
        assert await architect.reattach(number, details) == details["url"]
        await architect.shutdown()
        assert not await answers(str(details["url"]))


async def test_another_server_at_that_url_is_not_taken_for_ours(
    tmp_path: Path, left_behind: tuple[ResourceBook, int, Details]
) -> None:
    resources, number, details = left_behind
    architect = local(tmp_path, resources)
    with trio.fail_after(120):
        secret = (tmp_path / SECRET_FILE).read_text()
        (tmp_path / SECRET_FILE).write_text("the secret of another run")
        assert await architect.reattach(number, details) is None
        await architect.shutdown()
        assert await answers(str(details["url"]))
        (tmp_path / SECRET_FILE).write_text(secret)
        assert await architect.reattach(number, details) is not None
        await architect.shutdown()
    assert resources.count(ResourceStatus.RELEASED) == 1


async def test_a_router_that_was_left_is_released_by_whoever_comes(
    tmp_path: Path, left_behind: tuple[ResourceBook, int, Details]
) -> None:
    _, _, details = left_behind
    with trio.fail_after(120):
        # Whether it was started at all is not always recorded: what was intended must do.
        intended = {"url": details["url"], "port": details["port"], "build_dir": str(tmp_path)}
        for _ in range(2):
            await LocalArchitect.release(intended)
            await wait_for_end(int(details["pid"]))
        assert not await answers(str(details["url"]))
        await LocalArchitect.release({**intended, "build_dir": str(tmp_path / "never started")})


async def test_a_process_that_has_the_number_now_is_not_released(tmp_path: Path) -> None:
    (tmp_path / PID_FILE).write_text(str(os.getpid()))
    (tmp_path / SECRET_FILE).write_text("a secret")
    url = f"http://127.0.0.1:{free_port()}"
    with trio.fail_after(120):
        await LocalArchitect.release({"url": url, "port": 1, "build_dir": str(tmp_path)})


async def test_a_router_that_is_killed_comes_back_at_its_url_with_what_it_kept(tmp_path: Path) -> None:
    resources = ResourceBook()
    architect = local(tmp_path, resources)
    with trio.fail_after(120):
        static = await architect.prepare()
        (static / "index.html").write_text("still here")
        url = await architect.deploy()
        kept = (tmp_path / "router_data").stat().st_ino
        async with trio.open_nursery() as nursery:
            nursery.start_soon(architect.watch_over)
            for number in (1, 2):
                os.kill(await running_router(resources, number), signal.SIGKILL)
            await running_router(resources, 3)
            async with httpx.AsyncClient(trust_env=False) as page:
                assert (await page.get(url)).text == "still here"
            nursery.cancel_scope.cancel()
        assert (tmp_path / "router_data").stat().st_ino == kept
        await architect.shutdown()
        assert not await answers(url)
    assert resources.count(ResourceStatus.RELEASED) == len(resources.states) == 3


class Impatient(LocalArchitect):
    """Gives up a router soon."""

    PATIENCE_SECONDS = 0.3


async def killed(architect: LocalArchitect, resources: ResourceBook) -> socket.socket:
    """Deploy a router, kill it, and take its port; returns the socket that has it."""
    await architect.prepare()
    url = await architect.deploy()
    process = await running_router(resources, 1)
    os.kill(process, signal.SIGKILL)
    await wait_for_end(process)
    return socket.create_server(("127.0.0.1", int(url.rpartition(":")[2])))


async def test_a_port_that_is_taken_for_a_while_is_waited_for(tmp_path: Path) -> None:
    resources = ResourceBook()
    architect = local(tmp_path, resources)
    with trio.fail_after(120), await killed(architect, resources) as thief:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(architect.watch_over)
            while resources.count(ResourceStatus.RELEASED) == 0:
                await resources.changed.wait()
            await trio.sleep(0.5)
            assert resources.count(ResourceStatus.ACQUIRED) == 0
            thief.close()
            await running_router(resources, 2)
            nursery.cancel_scope.cancel()
        await architect.shutdown()


async def test_a_router_that_cannot_come_back_for_long_is_an_error(tmp_path: Path) -> None:
    resources = ResourceBook()
    architect = local(tmp_path, resources, Impatient)
    with trio.fail_after(120), await killed(architect, resources):
        with pytest.raises(LaunchError, match=r"the router could not be restarted: .*Address already in use"):
            await architect.watch_over()
        await architect.shutdown()
    assert resources.count(ResourceStatus.RELEASED) == len(resources.states)


async def test_whoever_resumes_a_run_waits_for_its_port_and_nobody_else_does(tmp_path: Path) -> None:
    with trio.fail_after(120), socket.create_server(("127.0.0.1", 0)) as thief:
        architect = local(tmp_path, ResourceBook())
        architect.return_to({"port": thief.getsockname()[1]})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(architect.prepare)
            await trio.sleep(0.3)
            thief.close()
        await architect.shutdown()


@pytest.mark.parametrize("dies", ["at first", "always"])
async def test_a_router_that_is_killed_while_it_starts_is_started_again(tmp_path: Path, dies: str) -> None:
    resources = ResourceBook()
    architect = local(tmp_path, resources, Impatient if dies == "always" else LocalArchitect)
    condition = "test -e here || { touch here;" if dies == "at first" else "{"
    with trio.fail_after(120):
        await architect.prepare()
        architect._command = ["/bin/sh", "-c", f'{condition} kill -KILL $$; }}; exec "$@"', "sh", *architect._command]
        if dies == "at first":
            await architect.deploy()
            assert resources.count(ResourceStatus.ACQUIRED) == 1
        else:
            with pytest.raises(LaunchError, match=r"could not be restarted: .*ended with status -9"):
                await architect.deploy()
        await architect.shutdown()
    assert resources.count(ResourceStatus.RELEASED) == len(resources.states)


async def running_router(resources: ResourceBook, number: int) -> int:
    """Wait until the router of this number is recorded as acquired; returns its process id."""
    while True:
        state = resources.states.get(number)
        if state is not None and state.status is ResourceStatus.ACQUIRED:
            return int(state.details["pid"])
        await resources.changed.wait()


class CancellingBook(ResourceBook):
    """Cancels a scope while the first event of one kind, after it was armed, is being recorded."""

    def __init__(self, kind: type[ResourceEvent]) -> None:
        super().__init__()
        self.scope: trio.CancelScope | None = None
        self._kind = kind

    async def _append(self, number: int, event: ResourceEvent) -> None:
        if self.scope is not None and isinstance(event, self._kind):
            self.scope.cancel()
        await super()._append(number, event)


@pytest.mark.parametrize("kind", [ResourceIntended, ResourceAcquired, ResourceReleased])
async def test_a_restart_that_is_cancelled_leaves_no_router_and_no_open_record(
    tmp_path: Path, kind: type[ResourceEvent]
) -> None:
    resources = CancellingBook(kind)
    architect = local(tmp_path, resources)
    with trio.fail_after(120):
        await architect.prepare()
        url = await architect.deploy()
        with trio.CancelScope() as resources.scope:
            os.kill(await running_router(resources, 1), signal.SIGKILL)
            await architect.watch_over()
        assert resources.scope.cancelled_caught
        last = int((tmp_path / PID_FILE).read_text())
        await architect.shutdown()
        await wait_for_end(last)
        assert not await answers(url)
    assert resources.count(ResourceStatus.RELEASED) == len(resources.states)
