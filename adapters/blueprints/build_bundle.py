"""Builds a page that is a node project, before the run that serves it is launched."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Awaitable, Generator, Sequence
from functools import partial
from pathlib import Path

import trio

from ...core.errors import ConfigError, LaunchError
from ...core.operations.logger_core import get_logger
from ...core.operations.task_code.calls import is_on_loop, wait_on_loop

#: The time limit of one step: npm downloads some hundred packages the first time.
STEP_SECONDS = 900.0
#: The number of characters quoted from the output of a failed step.
QUOTE_LENGTH = 2000
#: The file that a build creates in the page's folder.
BUNDLE = Path("build") / "bundle.js"

_NOT_SOURCE = frozenset({"node_modules", "build"})

logger = get_logger(__name__)


class FinishedBuild(os.PathLike[str], Awaitable[Path]):
    """A bundle that is built already; awaiting it returns its path."""

    def __init__(self, bundle: Path) -> None:
        self.bundle = bundle

    def __fspath__(self) -> str:
        """Return the path of the bundle."""
        return str(self.bundle)

    __str__ = __fspath__

    def __await__(self) -> Generator[None, None, Path]:
        yield from ()
        return self.bundle


def build_custom_bundle(
    custom_src_dir: str | Path,
    force_rebuild: bool | None = None,
    post_install_script: str | None = None,
    webapp_name: str = "webapp",
    build_command: str = "dev",
) -> Awaitable[Path]:
    """Build a task's page with npm, unless it is newer than all its sources.

    In async functions the call is awaited. In plain ones it blocks until the page is built. Cancelling ends the current
    step; the next call starts over.

    Args:
        custom_src_dir: the task's folder.
        force_rebuild: whether to build even if the page is up to date, as in `mephisto.task.force_rebuild`.
        post_install_script: a shell script in the page's folder to run between install and build, as in
            `mephisto.task.post_install_script`; None or empty for no script.
        webapp_name: the page's folder inside the task's.
        build_command: the script in its `package.json` that creates `build/bundle.js`.

    Returns:
        The bundle, for `mephisto.blueprint.task_source`.

    Raises:
        ConfigError: the folder is not a node project, or has no such script.
        LaunchError: a step failed; the end of its output is quoted.
    """
    build = partial(_build, custom_src_dir, force_rebuild, post_install_script, webapp_name, build_command)
    if is_on_loop():
        return build()
    return FinishedBuild(wait_on_loop(build))


async def _build(
    custom_src_dir: str | Path,
    force_rebuild: bool | None,
    post_install_script: str | None,
    webapp_name: str,
    build_command: str,
) -> Path:
    project = _project(Path(custom_src_dir), webapp_name, "package.json", post_install_script or ".")
    bundle = project / BUNDLE
    if force_rebuild or not _is_up_to_date(project, bundle):
        logger.info("building the page", folder=str(project))
        await _step(project, ["npm", "install", "--no-audit", "--no-fund"])
        if post_install_script:
            await _step(project, ["bash", post_install_script])
        await _step(project, ["npm", "run", build_command])
        if not bundle.is_file():
            raise LaunchError("page", f"npm run {build_command} did not create {bundle}")
    return bundle


def _project(task: Path, webapp_name: str, *needed: str) -> Path:
    project = task.expanduser().resolve() / webapp_name
    for name in needed:
        if not (project / name).exists():
            raise ConfigError(f"the page's folder {project} has no {name}", key=str(project))
    return project


def _is_up_to_date(project: Path, bundle: Path) -> bool:
    if not bundle.is_file():
        return False
    built_at = bundle.stat().st_mtime_ns
    for folder, below, files in os.walk(project):
        below[:] = (name for name in below if name not in _NOT_SOURCE)
        if any(Path(folder, name).lstat().st_mtime_ns > built_at for name in files):
            return False
    return True


async def _step(project: Path, command: Sequence[str]) -> None:
    step = " ".join(command)
    try:
        with trio.move_on_after(STEP_SECONDS) as scope:
            done = await trio.run_process(
                command,
                cwd=project,
                stdin=subprocess.DEVNULL,
                capture_stdout=True,
                stderr=subprocess.STDOUT,
                check=False,
            )
    except FileNotFoundError as error:
        raise LaunchError("page", f"{command[0]} is not on the PATH, which {step!r} needs") from error
    if scope.cancelled_caught:
        raise LaunchError("page", f"{step!r} did not finish within {STEP_SECONDS:g} seconds")
    if done.returncode != 0:
        output = done.stdout.decode(errors="replace").strip()[-QUOTE_LENGTH:]
        raise LaunchError("page", f"{step!r} in {project} failed (status {done.returncode}): {output}")
