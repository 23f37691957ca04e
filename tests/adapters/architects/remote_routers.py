"""Routers as `mephisto-es router serve` runs them, and architects that serve runs through them."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from omegaconf import DictConfig, OmegaConf

from mephisto_es.adapters.architects.remote import RemoteArchitect
from mephisto_es.core.abstractions.architect import ArchitectContext
from mephisto_es.core.abstractions.blueprint import SharedTaskState
from mephisto_es.core.abstractions.resources import Resources
from mephisto_es.core.operations.hydra_config import MephistoConfig
from mephisto_es.events.ids import TaskRunId

from ...ports import free_port

COMMAND = str(Path(sys.executable).parent / "mephisto-es")
START_SECONDS = 120.0


class ServedRouter:
    """A router process of a folder's own, which may be killed and started again at its port."""

    def __init__(self, folder: Path, *options: str, secret_file: Path | None = None) -> None:
        self.port = free_port()
        folder.mkdir(exist_ok=True)
        self.secret_file = secret_file or folder / "router.secret"
        self.data = folder / "data"
        self._options = options
        self._log = folder / "router.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it; it need not be ready yet."""
        command = [COMMAND, "router", "serve", f"--secret-file={self.secret_file}", f"--port={self.port}"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, f"--data={self.data}", *self._options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def wait_until_ready(self) -> None:
        """Wait until it listens."""
        assert self._process is not None
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        assert b"listening" in said, self._log.read_text()
        assert httpx.get(f"{self.url}/is_alive", timeout=START_SECONDS, trust_env=False).is_success

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it; return its exit status."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(how)
        status = process.wait(START_SECONDS)
        assert process.stdout is not None
        process.stdout.close()
        return status


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[ServedRouter]:
    """Run a router during the block."""
    router = ServedRouter(folder, *options)
    router.start()
    try:
        router.wait_until_ready()
        yield router
    finally:
        router.stop(signal.SIGKILL)


def remote_config(routers: list[ServedRouter], **settings: object) -> DictConfig:
    """A run's configuration, served through routers."""
    config: DictConfig = OmegaConf.structured(MephistoConfig)
    config.architect = OmegaConf.structured(RemoteArchitect.ArgsClass(_architect_type="remote"))
    config.architect.urls = [router.url for router in routers]
    if routers:
        config.architect.secret_file = str(routers[0].secret_file)
        config.architect.public_url = routers[0].url
    for name, value in settings.items():
        config.architect[name] = value
    return config


def remote(folder: Path, resources: Resources, config: DictConfig) -> RemoteArchitect:
    """An architect as a run makes it, its settings checked."""
    RemoteArchitect.assert_task_args(config, SharedTaskState())
    return constructed(folder, resources, config)


def constructed(folder: Path, resources: Resources, config: DictConfig) -> RemoteArchitect:
    """An architect as a process makes it that resumes a run: its settings were checked by the first one."""
    return RemoteArchitect(ArchitectContext(config, SharedTaskState(), TaskRunId(1), folder, resources))
