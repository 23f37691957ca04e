"""Chooses the program that is the router, and installs it where it can be started."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import trio

from ....core.abstractions.args import ArchitectArgs
from ....core.errors import ConfigError, LaunchError
from ....core.operations.logger_core import get_logger
from ....core.suggestions import did_you_mean

SERVER_TYPES = ("python", "node")
PYTHON_ROUTER = "mephisto_es.adapters.architects.router.python"
NODE_ROUTER = Path(__file__).parent / "node"
NODE_START_FILE = "server.js"
LOCK_FILE = "package-lock.json"
#: Parts of a node router's folder that it does not need to run.
NOT_FOR_RUNNING = ("node_modules", "test", ".*")
NPM_SECONDS = 600.0
#: An error quotes this much of the end of a program's output.
QUOTE_LENGTH = 500

logger = get_logger(__name__)


def check_router_args(args: ArchitectArgs) -> None:
    """Check that the chosen router can be started here.

    Raises:
        ConfigError: the type does not exist, a folder is missing, or node is not installed.
    """
    if args.server_source_path is None and args.server_type not in SERVER_TYPES:
        raise ConfigError(
            f"there is no router {args.server_type!r}",
            key="mephisto.architect.server_type",
            hint=did_you_mean(str(args.server_type), SERVER_TYPES),
        )
    folder = node_folder(args)
    if folder is None:
        return
    check_node_project(folder)
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            raise ConfigError(
                f"the router needs {tool}, which is not on the PATH",
                key="mephisto.architect.server_type",
                hint="Install Node.js 18 or later, or set mephisto.architect.server_type=python",
            )


def check_node_project(folder: Path) -> None:
    """Check that a folder has the files of a router in node.

    Raises:
        ConfigError: a file is missing; the message names it.
    """
    for needed in (NODE_START_FILE, "package.json", LOCK_FILE):
        if not (folder / needed).is_file():
            raise ConfigError(
                f"the router's folder {folder} has no {needed}",
                key="mephisto.architect.server_source_path",
                hint=f"A router of your own is a node project: package.json, {LOCK_FILE} and {NODE_START_FILE}",
            )


def node_folder(args: ArchitectArgs) -> Path | None:
    """Return the folder of the node project that is the router, or None for the router in Python."""
    if args.server_source_path is not None:
        return Path(args.server_source_path).expanduser().resolve()
    return NODE_ROUTER if args.server_type == "node" else None


async def install_router(args: ArchitectArgs, target: Path) -> list[str]:
    """Install the router so that it can be started.

    Args:
        args: checked by `check_router_args`.
        target: a folder for the router's files, if it has any.

    Returns:
        The command that starts it.

    Raises:
        LaunchError: its packages could not be installed.
    """
    source = node_folder(args)
    if source is None:
        # -P: modules in the folder that it is started in are not imported.
        return [sys.executable, "-P", "-m", PYTHON_ROUTER]
    packages = await _installed_packages(source)
    copy_sources(source, target)
    (target / "node_modules").unlink(missing_ok=True)
    (target / "node_modules").symlink_to(packages, target_is_directory=True)
    return ["node", str(target / NODE_START_FILE)]


def copy_sources(project: Path, target: Path) -> None:
    """Copy the files of a node project, without what npm installs."""
    shutil.copytree(project, target, ignore=shutil.ignore_patterns(*NOT_FOR_RUNNING), dirs_exist_ok=True)


async def _installed_packages(project: Path) -> Path:
    """Return the `node_modules` of a project, installed by its lock file the first time they are needed."""
    lock = (project / LOCK_FILE).read_bytes()
    installed = _cache_folder() / hashlib.sha256(lock).hexdigest()[:32]
    if not installed.exists():
        installed.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=installed.parent) as scratch:
            for name in ("package.json", LOCK_FILE):
                shutil.copy(project / name, scratch)
            logger.info("installing the router's packages, this is done once", folder=str(installed))
            await _npm_ci(Path(scratch))
            try:
                os.rename(scratch, installed)
            except OSError:
                if not installed.exists():  # otherwise another run was faster, with the same packages
                    raise
    return installed / "node_modules"


async def _npm_ci(folder: Path) -> None:
    with trio.move_on_after(NPM_SECONDS) as limit:
        done = await trio.run_process(
            ["npm", "ci", "--omit=dev", "--no-audit", "--no-fund"],
            cwd=folder,
            capture_stdout=True,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if limit.cancelled_caught:
        raise LaunchError("prepare", f"npm did not install the router's packages within {NPM_SECONDS:g} seconds")
    if done.returncode != 0:
        output = done.stdout.decode(errors="replace").strip()[-QUOTE_LENGTH:]
        raise LaunchError(
            "prepare", f"npm could not install the router's packages (status {done.returncode}): {output}"
        )


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "mephisto-es" / "router"
