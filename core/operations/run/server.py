"""Brings up the server of a run with its page, or finds the one that an earlier process left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ....events import streams
from ...abstractions.blueprint import Blueprint
from ...abstractions.crowd_provider import CrowdProvider
from ...abstractions.work_data import to_plain
from ...errors import LaunchError, LogError, MephistoError
from ...lifecycles.resource import ResourceStatus
from ...state.decision_state import DecisionState
from ..configuration.task_settings import TaskSettings
from ..run_context import RunContext
from ..texts.catalogue import Texts, load_texts

#: Configuration of the page, in the folder of static files.
TASK_CONFIG_FILE = "task_config.json"
#: Script that tells the page who the worker is.
WRAPPER_FILE = "wrap_crowd_source.js"


@contextmanager
def launch_step(step: str) -> Iterator[None]:
    """Name the step of a launch in the error if its block fails.

    Raises:
        LaunchError: in place of any other error of this package or of the system; an error of the log passes as it is.
    """
    try:
        yield
    except (LaunchError, LogError):
        raise
    except MephistoError as error:
        raise LaunchError(step, str(error)) from error
    except OSError as error:
        raise LaunchError(step, f"{error.strerror or error} ({error.filename})") from error


def provider_script(script: bytes, settings: Mapping[str, object], texts: Texts) -> bytes:
    """Return a provider's script with its settings and texts in front, in two globals.

    Args:
        script: the script itself.
        settings: the provider's settings of the page.
        texts: the texts of the run.
    """
    found = {"MEPHISTO_PROVIDER": settings, "MEPHISTO_TEXTS": texts.for_provider()}
    # In a script, "<" can only be the beginning of its end.
    lines = [
        f"window.{name} = ".encode() + msgspec.json.encode(value).replace(b"<", b"\\u003c") + b";\n"
        for name, value in found.items()
    ]
    return b"".join(lines) + script


def write_site(blueprint: Blueprint, provider: CrowdProvider, settings: TaskSettings, static_dir: Path) -> None:
    """Write all files that a run's server serves: the page, its configuration, and the provider's script.

    Raises:
        ConfigError: a file of the page is missing.
        OSError: a file cannot be written.
    """
    blueprint.build_page(static_dir)
    texts = load_texts(settings.language, settings.texts)
    script = provider.get_wrapper_js_path().read_bytes()
    (static_dir / WRAPPER_FILE).write_bytes(provider_script(script, provider.page_settings(), texts))
    config = {**texts.for_page(), **settings.consent_for_page, **blueprint.get_frontend_args()}
    (static_dir / TASK_CONFIG_FILE).write_bytes(msgspec.json.encode(config, enc_hook=to_plain))


class RunServer:
    """The server of one run."""

    def __init__(self, context: RunContext) -> None:
        self._context = context

    async def prepare(self) -> None:
        """Put everything that the server serves in place.

        Raises:
            LaunchError: a file of the page is missing, or cannot be written.
        """
        architect, provider = self._context.architect, self._context.provider
        with launch_step("prepare"):
            architect.build_dir.mkdir(parents=True, exist_ok=True)
            write_site(self._context.blueprint, provider, self._context.settings, await architect.prepare())

    async def deploy(self) -> str:
        """Start the server and return its URL.

        Raises:
            LaunchError: it could not be started.
        """
        with launch_step("deploy"):
            url = await self._context.architect.deploy()
            await self._context.architect.cleanup()
        return url

    async def resume(self, state: DecisionState) -> str | None:
        """Find the server that an earlier process of the run left; servers that are gone are recorded as released.

        Args:
            state: knows the servers that were recorded.

        Returns:
            The server's URL, or None if there is no server.

        Raises:
            LaunchError: it cannot be told whether the server is still there.
        """
        architect = self._context.architect
        servers = [
            (streams.number_of(stream), resource)
            for stream, resource in state.resources.items()
            if streams.run_of(stream) == self._context.task_run
            and resource.resource_type not in self._context.provider.RESOURCE_TYPES
        ]
        with launch_step("reattach"):
            if servers:
                # Even if it is released: an earlier attempt may have died before it replaced it.
                architect.return_to(servers[-1][1].details)
            for number, resource in servers:
                if resource.status is ResourceStatus.RELEASED:
                    continue
                url = await architect.reattach(number, resource.details)
                if url is not None:
                    return url
                await architect.resources.released(number, "not there when the run was resumed")
        return None
