from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from omegaconf import DictConfig, OmegaConf

from mephisto_es.adapters.architects.contract import PageServerContract, ResourceBook, answers
from mephisto_es.adapters.architects.local import LOG_FILE, SECRET_FILE, LocalArchitect
from mephisto_es.core.abstractions.architect import Architect
from mephisto_es.core.abstractions.blueprint import SharedTaskState
from mephisto_es.core.abstractions.resources import Resources
from mephisto_es.core.errors import ConfigError, LaunchError
from mephisto_es.core.lifecycles.server import ResourceStatus
from mephisto_es.core.operations.hydra_config import MephistoConfig
from mephisto_es.events.ids import TaskRunId


def run_config(**settings: object) -> DictConfig:
    config: DictConfig = OmegaConf.structured(MephistoConfig)
    config.architect = OmegaConf.structured(LocalArchitect.ArgsClass(_architect_type="local"))
    for name, value in {"port": 0, **settings}.items():
        config.architect[name] = value
    return config


def local(folder: Path, resources: Resources, **settings: object) -> LocalArchitect:
    config = run_config(**settings)
    LocalArchitect.assert_task_args(config, SharedTaskState())
    return LocalArchitect(config, SharedTaskState(), TaskRunId(1), folder, resources)


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
        ({"hostname": "no such host"}, "'no such host' is no name or address"),
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
    with trio.fail_after(60), pytest.raises(LaunchError, match="npm could not install the router's packages"):
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
    with trio.fail_after(60):
        await architect.prepare()
        with pytest.raises(LaunchError, match="ended with status 3: this router cannot work"):
            await architect.deploy()
    assert resources.count(ResourceStatus.RELEASED) == 1


async def test_secrets_are_in_a_file_that_is_ours_alone_and_nowhere_else(tmp_path: Path) -> None:
    resources = ResourceBook()
    architect = local(tmp_path, resources)
    with trio.fail_after(60):
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
    with trio.fail_after(60):
        await architect.prepare()
        url = await architect.deploy()
        pid = int(next(iter(resources.states.values())).details["pid"])
        os.kill(pid, signal.SIGSTOP)
        with trio.move_on_after(0.5):
            await architect.shutdown()
        assert not await answers(url)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_crash_of_the_operator_does_not_take_the_router_along(tmp_path: Path) -> None:
    """So that its workers find somebody, and a new operator finds their work."""
    script = f"""
import os, signal, trio
from pathlib import Path
from omegaconf import OmegaConf
from mephisto_es.adapters.architects.contract import ResourceBook
from mephisto_es.adapters.architects.local import LocalArchitect
from mephisto_es.core.abstractions.blueprint import SharedTaskState

async def main():
    args = OmegaConf.create({{"architect": OmegaConf.structured(LocalArchitect.ArgsClass(port=0))}})
    architect = LocalArchitect(args, SharedTaskState(), 1, Path({str(tmp_path)!r}), book := ResourceBook())
    await architect.prepare()
    url = await architect.deploy()
    print(url, next(iter(book.states.values())).details["pid"], flush=True)
    os.killpg(0, signal.SIGKILL)

trio.run(main)
"""
    crashed = subprocess.run(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        timeout=60,
        check=False,
    )
    assert crashed.returncode == -signal.SIGKILL
    url, pid = crashed.stdout.split()
    try:
        assert trio.run(answers, url)
    finally:
        os.killpg(int(pid), signal.SIGTERM)
