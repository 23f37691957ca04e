"""The server of a run: brought up with its page, or found again after a crash."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from ....events import streams
from ...errors import LaunchError, LogError, MephistoError
from ...lifecycles.resource import ResourceStatus
from ...state.decision_state import DecisionState
from .live_task_run import LiveTaskRun

#: The page's configuration, in the folder of static files.
TASK_CONFIG_FILE = "task_config.json"
#: The script that tells the page who the worker is.
WRAPPER_FILE = "wrap_crowd_source.js"


@contextmanager
def launch_step(step: str) -> Iterator[None]:
    """Let a failure say at which step of a launch it happened.

    Raises:
        LaunchError: in place of any other error of ours or of the system; a failing log goes through as it is.
    """
    try:
        yield
    except (LaunchError, LogError):
        raise
    except MephistoError as error:
        raise LaunchError(step, str(error)) from error
    except OSError as error:
        raise LaunchError(step, f"{error.strerror or error} ({error.filename})") from error


async def prepare(live_run: LiveTaskRun) -> None:
    """Put everything that the server serves in place.

    Raises:
        LaunchError: a file of the page is missing, or cannot be written.
    """
    with launch_step("prepare"):
        live_run.architect.build_dir.mkdir(parents=True, exist_ok=True)
        static_dir = await live_run.architect.prepare()
        live_run.blueprint.build_page(static_dir)
        wrapper = live_run.provider.get_wrapper_js_path().read_bytes()
        (static_dir / WRAPPER_FILE).write_bytes(wrapper)
        config = msgspec.json.encode(live_run.blueprint.get_frontend_args())
        (static_dir / TASK_CONFIG_FILE).write_bytes(config)


async def deploy(live_run: LiveTaskRun) -> str:
    """Start the server; returns its URL.

    Raises:
        LaunchError: it could not be started.
    """
    with launch_step("deploy"):
        url = await live_run.architect.deploy()
        await live_run.architect.cleanup()
    return url


async def reattach(live_run: LiveTaskRun, state: DecisionState) -> str | None:
    """Find the server that an earlier process of the run has left; what is not there any more is put down as released.

    Returns:
        Its URL, or None if there is none.

    Raises:
        LaunchError: nobody can tell.
    """
    servers = [
        (streams.number_of(stream), resource)
        for stream, resource in state.servers.items()
        if streams.run_of(stream) == live_run.task_run
    ]
    with launch_step("reattach"):
        if servers:
            # Also if it is released: an earlier attempt may have died before it put another in its place.
            live_run.architect.return_to(servers[-1][1].details)
        for number, resource in servers:
            if resource.status is ResourceStatus.RELEASED:
                continue
            url = await live_run.architect.reattach(number, resource.details)
            if url is not None:
                return url
            await live_run.architect.resources.released(number, "not there when the run was taken up again")
    return None
