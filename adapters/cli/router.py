"""Implements `mephisto-es router`: run a router on a machine that workers reach, and ask one who it is."""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path

import click
import trio

from ...core.abstractions.args import ArchitectArgs
from ..architects.router.handshake import RouterFigures, check_root_url, shake_hands, trusted_authorities
from ..architects.router.limits import REMOTE_COMMIT_WAIT_SECONDS
from ..architects.router.process import PREFIX
from ..architects.router.program import check_router_args, install_router
from ..architects.router.secret_file import read_private_secret
from ..private_files import make_private_folder, open_private
from ..terminal import echo
from .common.output import as_json_option, print_json

HIGHEST_PORT = 65535
PROGRAM_FOLDER = "program"
#: A router that waits for its next run does not end itself: ten years.
ORPHAN_SECONDS = 10 * 365 * 86_400
#: The argument, in messages.
URL = "URL"


@click.group("router")
def router_group() -> None:
    """Run a router on a machine that workers reach, for an operator that they do not reach."""


@router_group.command("serve")
@click.option(
    "--secret-file",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The secret that the operator proves itself with; written if there is none.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=3000, show_default=True, type=click.IntRange(0, HIGHEST_PORT), help="The port.")
@click.option(
    "--data",
    default=Path("router_data"),
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder of its journal, of uploaded files and of the page.",
)
@click.option("--node", is_flag=True, help="Run the router in Node.js, which has to be installed.")
@click.option(
    "--trusted-proxies",
    type=click.IntRange(0),
    help="Web servers of yours in front of it; 1 if it listens on this machine only.",
)
def serve_command(secret_file: Path, host: str, port: int, data: Path, node: bool, trusted_proxies: int | None) -> None:
    """Run a router until it is told to stop. It waits for an operator with `mephisto/architect=remote`.

    The operator connects to it and sends the page; the router belongs to that run until it is over, and waits for the
    next one then. What workers send is in the folder before they are answered, so it may be stopped, killed and started
    again at any time. Its limits are the environment variables MEPHISTO_ROUTER_...

    \b
    Examples:
      mephisto-es router serve --secret-file router.secret
      mephisto-es router serve --secret-file /etc/mephisto-es/router.secret --data /var/lib/mephisto-es --port 3000

    Exit code 0: it was told to stop. 2: it cannot be started.
    """
    if not secret_file.exists():
        _write_secret(secret_file)
        echo(f"a new secret is in {secret_file}: copy the file to the operator's machine", err=True)
    read_private_secret(secret_file)
    args = ArchitectArgs(server_type="node" if node else "python")
    check_router_args(args)
    try:
        make_private_folder(data)
    except OSError as error:
        raise click.UsageError(f"{data} cannot be created: {error.strerror}") from error
    command = trio.run(install_router, args, data.absolute() / PROGRAM_FOLDER)
    is_private = host == "localhost" or _is_loopback(host)
    environment = {
        PREFIX + "COMMIT_WAIT_SECONDS": str(REMOTE_COMMIT_WAIT_SECONDS),
        PREFIX + "TRUSTED_PROXIES": str(int(is_private) if trusted_proxies is None else trusted_proxies),
        **os.environ,
        PREFIX + "SECRET_FILE": str(secret_file.absolute()),
        PREFIX + "DATA": str(data.absolute()),
        PREFIX + "ORPHAN_SECONDS": str(ORPHAN_SECONDS),
        PREFIX + "VERSION": version("mephisto-es"),
        "HOST": host,
        "PORT": str(port),
    }
    for name in ("STATIC", "FD", "SECRET"):
        environment.pop(PREFIX + name, None)
    program = shutil.which(command[0]) or command[0]
    sys.stdout.flush()
    sys.stderr.flush()
    # In place of this process: signals and the exit status are the router's.
    os.execve(program, command, environment)


@router_group.command("check")
@click.argument("url")
@click.option(
    "--secret-file", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Your copy of its secret."
)
@click.option("--ca-file", type=click.Path(dir_okay=False), help="Certificates that are trusted beside the usual ones.")
@as_json_option
def check_command(url: str, secret_file: Path, ca_file: str | None, as_json: bool) -> None:
    """Ask the router at URL who it is, from the operator's machine. Nothing is changed there.

    \b
    Example:
      mephisto-es router check https://tasks.example.org --secret-file router.secret

    Exit code 0: runs can be launched on it. 2: it is out of reach, or does not fit; the message says why.
    """
    check_root_url(url, URL)
    figures = shake_hands(url.rstrip("/"), read_private_secret(secret_file), trusted_authorities(ca_file))
    if as_json:
        print_json(figures)
    else:
        echo(f"{url}: a router of version {figures.version}, which {_state_of(figures)}")


def _state_of(figures: RouterFigures) -> str:
    if figures.page == "none":
        return "waits for a run"
    there = "attached" if figures.operator_attached else "away"
    return f"serves a run; its operator is {there}, and {figures.outbox_length} packets wait for it"


def _write_secret(path: Path) -> None:
    try:
        with open(path, "x", opener=open_private) as file:
            file.write(secrets.token_hex(32) + "\n")
    except OSError as error:
        raise click.UsageError(f"{path} cannot be written: {error.strerror}") from error


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
