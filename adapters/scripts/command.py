"""Implements the command line of launch scripts: `python run_task.py mephisto/architect=local --dry-run`.

The arguments are Hydra overrides. `--help` lists the options and settings; `--cfg job` prints the whole configuration
without secrets.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple, Protocol

import click
import trio
import yaml
from omegaconf import DictConfig

from ...core.errors import CommandRefusedError, ConfigError, LaunchError, LogError
from ...core.operations.configuration.task_config import load_task_config
from ...core.operations.hydra_config import (
    AbstractionType,
    TaskConfig,
    TaskRunArgs,
    build_default_task_config,
    register_script_config,
)
from ...core.operations.logger_core import set_mephisto_log_format, set_mephisto_log_level
from ...core.operations.operator import Operator
from ...core.operations.registry import get_valid_types
from ...core.redaction import redacted, redacted_text
from ..facade.plain_operator import PlainMain
from ..terminal import echo
from .hydra_flags import described, hydra_settings, sweep, with_config_name

_CONFIG_NAME = "taskconfig"

#: A script's `async def main(operator, cfg)`, or a plain one, whose operator blocks.
AsyncMain = Callable[[Operator, DictConfig], Awaitable[None]]
ScriptMain = AsyncMain | PlainMain


class Runner(Protocol):
    """Opens the log, makes an operator, and runs a script's main with both until the operator has shut down."""

    def __call__(self, main: ScriptMain, cfg: DictConfig, *, dry_run: bool) -> None:
        """Run a script; in a dry run without publishing or recording anything."""


#: Errors that the user must act on: one sentence says everything, and a traceback would hide it.
_FOR_THE_USER = (CommandRefusedError, ConfigError, LaunchError, LogError)

_YES = frozenset({"y", "yes"})


async def ask_on_terminal(question: str, *, default: bool = True) -> bool:
    """Ask a question on the terminal. The end of input means no.

    If cancelled, the question stays on the terminal without an answer.

    Args:
        question: the question.
        default: the answer that an empty line stands for.
    """
    echo(f"{question} [{'Y/n' if default else 'y/N'}] ", nl=False, err=True)
    # A terminal becomes readable once a line is complete, so reading it does not block the loop.
    await trio.lowlevel.wait_readable(sys.stdin)
    line = sys.stdin.readline()
    answer = line.strip().lower()
    return line.endswith("\n") and (answer in _YES if answer else default)


def script_decorator(
    run: Runner,
    *,
    config: type[TaskConfig] | None = None,
    default_config_file: str | None = None,
    config_path: str = "hydra_configs",
) -> Callable[[ScriptMain], Callable[[], None]]:
    """Return a decorator that turns a script's `main` into a command.

    The command takes no arguments. It reads the command line, composes the configuration from the files beside the
    script, and calls `run`. An error that the user must act on becomes a sentence on standard error and exit code 1; an
    invalid command line gives exit code 2.

    Args:
        run: called once with `main`, the checked configuration, and whether this is a dry run.
        config: the script's config class, from `build_default_task_config` or `TaskConfig`.
        default_config_file: instead of `config`, the name of the file in `conf/` to start from, without `.yaml`.
        config_path: the folder of configuration files, relative to the script.
    """
    if config is None:
        config = TaskConfig if default_config_file is None else build_default_task_config(default_config_file)
    script_config = config

    def decorate(main: ScriptMain) -> Callable[[], None]:
        script = Path(inspect.getfile(inspect.unwrap(main)))

        @functools.wraps(main)
        def command() -> None:
            try:
                set_mephisto_log_format()
                register_script_config(_CONFIG_NAME, script_config)
                given = _read_command_line(script, config_path, main.__doc__, sys.argv[1:])
                config_dir = script.resolve().parent / config_path
                name, chosen = with_config_name(config_dir, _CONFIG_NAME, given.config_name)
                overrides = [*chosen, *given.overrides]
                if given.show is not None:
                    echo(_shown(script, config_path, name, overrides, given.show), nl=False)
                    sys.exit(0)
                runs = sweep(config_dir, overrides) if given.is_sweep else [overrides]
                configs = [load_task_config(script, config_path, name, one) for one in runs]
                for cfg in configs:
                    set_mephisto_log_level(level=cfg.mephisto.log_level)
                    run(main, cfg, dry_run=given.dry_run)
            except _FOR_THE_USER as error:
                echo(f"{script.name}: {error}", err=True)
                sys.exit(1)

        return command

    return decorate


class _CommandLine(NamedTuple):
    """The command line of a script."""

    overrides: list[str]
    config_name: str | None
    #: Part of the configuration to show instead of running; None to run.
    show: str | None
    dry_run: bool
    #: True to run once for each combination of values.
    is_sweep: bool


def _shown(script: Path, config_path: str, name: str, overrides: list[str], part: str) -> str:
    """Return a configuration, or a part of it, as text."""
    config_dir = script.resolve().parent / config_path
    if part == "info":
        return described(config_dir, name, overrides) + "\n"
    parts: dict[str, object] = {}
    if part in ("hydra", "all"):
        parts["hydra"] = hydra_settings(config_dir, name, overrides)
    if part in ("job", "all"):
        job = redacted(load_task_config(script, config_path, name, overrides))
        parts |= {"job": job} if part == "all" else job
    return redacted_text(yaml.safe_dump(parts, sort_keys=False, allow_unicode=True))


def _read_command_line(script: Path, config_path: str, about: str | None, arguments: Sequence[str]) -> _CommandLine:
    """Read the command line. Does not return from `--help`."""
    command = _ScriptCommand(
        name=script.name,
        help=about,
        context_settings={
            "help_option_names": ["-h", "--help"],
            "obj": script.resolve().parent / config_path / "conf",
        },
        params=[
            click.Option(
                ["-c", "--cfg"], type=click.Choice(["job", "hydra", "all"]), help="Print the configuration and stop."
            ),
            click.Option(["-i", "--info"], is_flag=True, help="Print what the configuration is made of and stop."),
            click.Option(["-cn", "--config-name"], metavar="NAME", help="Start from another file: conf/NAME.yaml."),
            click.Option(["-m", "--multirun"], is_flag=True, help="Run once for each combination: SETTING=1,2."),
            click.Option(["--dry-run"], is_flag=True, help="Check everything and show the cost; publish nothing."),
            click.Argument(["overrides"], nargs=-1, metavar="[GROUP=NAME | SETTING=VALUE]..."),
        ],
    )
    try:
        parsed = command.make_context(script.name, list(arguments)).params
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    show = "info" if parsed["info"] else parsed["cfg"]
    return _CommandLine(
        list(parsed["overrides"]), parsed["config_name"], show, parsed["dry_run"], is_sweep=parsed["multirun"]
    )


class _ScriptCommand(click.Command):
    """Describes the command line of a script. Its context's `obj` is the folder of `conf/*.yaml`."""

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the groups with their options, and the settings of all runs."""
        groups = [(kind.group, ", ".join(get_valid_types(kind))) for kind in AbstractionType]
        groups.append(("conf", ", ".join(sorted(file.stem for file in context.obj.glob("*.yaml")))))
        with formatter.section("Groups, for instance mephisto/architect=local"):
            formatter.write_dl(groups)
        settings = [(f"mephisto.task.{known.name}", known.metadata["help"]) for known in fields(TaskRunArgs)]
        with formatter.section("Settings of every run, for instance mephisto.task.task_reward=0.30"):
            formatter.write_dl(settings)
        formatter.write_paragraph()
        formatter.write_text("--cfg job shows the settings of what is chosen.")
