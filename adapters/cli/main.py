"""The `mephisto-es` command: imports a verb when it is used, and turns errors into messages and exit codes."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import click
import msgspec
from click.shell_completion import CompletionItem

from ...core.errors import ConfigError, MephistoError, UnusableLogError, leaves
from ...core.printable import printable_json
from ...core.suggestions import nearest
from ..advice import advised
from ..terminal import echo

#: The request was refused, or a check failed.
EXIT_REFUSED = 1
#: A setting, a file or the command line cannot be used.
EXIT_UNUSABLE = 2

_UNUSABLE = (ConfigError, UnusableLogError)


class Verb(NamedTuple):
    """A verb without its code, so that `--help` need not import it."""

    #: `module:attribute`, the module being one of this package.
    target: str
    #: One line for `mephisto-es --help`.
    about: str


VERBS = {
    "adjudicate": Verb("adjudicate:adjudicate_command", "Decide the label of items whose answers differ."),
    "backup": Verb("backup:backup_command", "Copy a log, even while it is written, and check the copy."),
    "blockers": Verb("blockers:blockers_command", "Show what keeps a run from completing."),
    "bundle": Verb("bundle:bundle_command", "Pack a run's redacted log for a bug report."),
    "check": Verb("check:check_command", "Check that this machine has everything that runs need."),
    "check-config": Verb(
        "check_config:check_config_command", "Say which configuration files run, and what others lack."
    ),
    "codes": Verb("invite:codes_command", "Print the completion codes of people who came through links."),
    "completion": Verb("completion:completion_command", "Complete verbs, runs and ids in bash, zsh or fish."),
    "config": Verb("config:config_command", "Show or change your own settings."),
    "demo": Verb("demo:demo_command", "Run the sentence rating example with a simulated crowd."),
    "design": Verb("design:design_command", "Say before a launch how many items and answers are needed."),
    "diff": Verb("diff:diff_command", "Show what changed between two points in time."),
    "doctor": Verb("doctor:doctor_command", "Salvage a damaged log."),
    "erase": Verb("erase:erase_command", "Delete a worker's name and everything they sent."),
    "end": Verb("run_control:end_command", "End a run and expire its open units."),
    "explain": Verb("explain:explain_command", "Show why a worker was admitted, refused, or given a unit."),
    "extend": Verb("extend:extend_command", "Give a run more data, more units or another budget."),
    "export": Verb("export:export_command", "Export a run as JSON Lines, CSV or Parquet."),
    "fake": Verb("fake:fake_command", "Simulate a crowd site: Prolific, Connect or SONA."),
    "files": Verb("files:files_command", "List the files that workers uploaded, or copy them out."),
    "import-mephisto": Verb("import_mephisto:import_mephisto_command", "Create a log from a Mephisto database."),
    "invite": Verb("invite:invite_command", "Print personal links to a run."),
    "ledger": Verb("ledger:ledger_command", "Show what a run owes and has paid to each worker."),
    "log": Verb("log:log_group", "Copy a log to or from PostgreSQL, or update a copy."),
    "message": Verb("message:message_command", "Have the crowd site pass on a message to a worker."),
    "new": Verb("new:new_command", "Write the files that a new task starts from."),
    "operators": Verb("operators:operators_command", "Show who drives which run of a log in PostgreSQL."),
    "pause": Verb("run_control:pause_command", "Pause a live run; nothing is lost."),
    "pay": Verb("pay:pay_command", "Pay what a run owes, after asking."),
    "plugins": Verb("plugins:plugins_command", "List what is installed, and why something does not load."),
    "port": Verb("port:port_command", "Show how a script written for Mephisto has to be changed."),
    "preferences": Verb("preferences:preferences_command", "Export comparisons as prompt, chosen, rejected."),
    "projections": Verb("projections:projections_command", "List the views of a log, or rebuild them."),
    "quality": Verb("quality:quality_command", "Show agreement, labels and the work of each worker."),
    "reconcile": Verb("reconcile:reconcile_command", "Compare a run with its crowd site."),
    "projects": Verb("projects:projects_command", "List the projects that group tasks, or put a task in one."),
    "prove": Verb("prove:prove_command", "Prove what happened to a unit, without the log."),
    "register": Verb("register:register_command", "Register an account at a crowd provider."),
    "rehearse": Verb("rehearse:rehearse_command", "Run a launch script with simulated workers, before people come."),
    "reopen": Verb("run_control:reopen_command", "Put the expired units of an ended run back."),
    "replay": Verb("replay:replay_command", "Prove from the log alone that what happened was legal."),
    "report": Verb("report:report_command", "Write what a methods section says about a run."),
    "requesters": Verb("requesters:requesters_command", "List the accounts that offer work."),
    "resources": Verb("resources:resources_group", "List or release what runs hold outside."),
    "restore": Verb("restore:restore_command", "Put a backup in the place of a log."),
    "resume": Verb("resume:resume_command", "Continue a paused run, or one whose operator died."),
    "retry": Verb("run_control:retry_command", "Ask the code of a live run again after it failed."),
    "review": Verb("review:review_command", "Accept or reject submitted work."),
    "router": Verb("router:router_group", "Run a router on a machine that workers reach, or ask one who it is."),
    "runs": Verb("runs:runs_command", "List the runs and their progress."),
    "schema": Verb("schema:schema_command", "Print the JSON Schema of a configuration, an export, or a verb's output."),
    "seal": Verb("seal:seal_command", "Sign what is in a log, so that it cannot be rewritten unnoticed."),
    "serve": Verb("serve:serve_command", "Show a log in a browser."),
    "show": Verb("show:show_command", "Show the tables as of a time or position."),
    "status": Verb("status:status_command", "Show the status of a run."),
    "tail": Verb("tail:tail_command", "Print events as they happen."),
    "timeline": Verb("timeline:timeline_command", "Show what happened to a unit, agent, worker or run."),
    "top": Verb("top:top_command", "Watch a run live, or replay a past one."),
    "torture": Verb("torture:torture_command", "Kill an operator repeatedly and check that nothing is lost."),
    "verify": Verb("verify:verify_command", "Check that no event was changed and none is missing."),
    "witness": Verb(
        "witness:witness_command", "Cosign the seals of other labs, so that they cannot show two versions."
    ),
    "worker": Verb("worker:worker_command", "Block a worker, grant qualifications, or give a bonus."),
    "wut": Verb("wut:wut_command", "Show the settings of every run or of one blueprint."),
}
#: Verbs that record decisions, in the name of their author.
DECIDING = ("adjudicate", "end", "erase", "extend", "pause", "pay", "projects", "reopen", "retry", "review", "worker")
#: Verbs by the heading under which the help lists them; the last heading has all others, too.
GROUPS = {
    "Launch": (
        *("check", "check-config", "completion", "config", "demo", "design", "fake", "import-mephisto", "new"),
        *("plugins", "register", "resume", "router", "wut"),
    ),
    "Watch": (
        *("blockers", "diff", "explain", "export", "files", "ledger", "operators", "preferences", "quality"),
        *("report", "requesters", "runs", "schema", "serve", "show", "status", "timeline", "top"),
    ),
    "Decide": DECIDING,
    "Check and keep": (
        *("backup", "bundle", "doctor", "log", "projections", "prove", "replay", "resources", "seal", "torture"),
        *("verify", "witness"),
    ),
}
#: Packages that single verbs need, with what for, and the extra that installs them.
EXTRAS = {"cryptography": ("seals need", "proof"), "psycopg": ("logs in PostgreSQL need", "postgres")}
#: Former names of verbs. They work, and the help of their verb names them, but no list shows them.
ALIASES = {
    "forget": "erase:erase_command",
    "leaks": "resources:list_command",
    "reap": "resources:release_command",
    "why-open": "blockers:blockers_command",
}


#: What to use in place of verbs of Mephisto's command line.
MEPHISTO_VERBS = {
    "db": "Use mephisto-es export, backup, restore or import-mephisto.",
    "form_composer": "Set mephisto.blueprint.form in a configuration: the stock page shows that form.",
    "metrics": "Set mephisto.metrics.port in a configuration; mephisto-es top shows a run in the terminal.",
    "review_app": "Use mephisto-es serve or mephisto-es review.",
    "scripts": "Use mephisto-es worker for qualifications, and mephisto-es resources for what runs left outside.",
    "video_annotator": "There is no such page here; a page of your own can be served.",
}


class VerbFailure(msgspec.Struct, frozen=True):
    """A verb that could not do what it was asked for."""

    #: None if there is no such verb.
    verb: str | None
    #: Why, a sentence or more, with what to do.
    messages: tuple[str, ...]


class ErrorOutput(msgspec.Struct, frozen=True):
    """The output of any verb with `--json` if it fails; the exit code is that of the failure."""

    error: VerbFailure


class LazyGroup(click.Group):
    """A group whose commands are those in `VERBS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the verbs in alphabetical order."""
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a verb and return its command."""
        target = VERBS[cmd_name].target if cmd_name in VERBS else ALIASES.get(cmd_name)
        if target is None:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = target.partition(":")
        try:
            with _collecting_no_garbage():
                command = getattr(importlib.import_module(f".{module}", __package__), attribute)
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            if missing not in EXTRAS:
                raise
            purpose, extra = EXTRAS[missing]
            raise click.ClickException(
                f"{purpose} {missing}, which is not installed. Run: pip install 'mephisto-es[{extra}]'"
            ) from error
        if not isinstance(command, click.Command):
            raise TypeError(f"{target} is not a click command")
        former = sorted(alias for alias, of in ALIASES.items() if of == target)
        if former:
            command.epilog = f"Former name, which still works: {', '.join(former)}."
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer the verbs, without importing them."""
        verbs = [CompletionItem(verb, help=VERBS[verb].about) for verb in sorted(VERBS) if verb.startswith(incomplete)]
        return verbs or click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the verbs into the help text without importing them."""
        grouped = {verb for verbs in GROUPS.values() for verb in verbs}
        others = VERBS.keys() - grouped
        for number, (group, verbs) in enumerate(GROUPS.items(), start=1):
            shown = {*verbs, *(others if number == len(GROUPS) else ())} & VERBS.keys()
            with formatter.section(group):
                formatter.write_dl([(verb, VERBS[verb].about) for verb in sorted(shown)])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a verb; suggest one for a word that is none."""
        if args and self.get_command(ctx, args[0]) is None:
            ctx.fail(f"No such command {args[0]!r}. {_suggestion(args[0])}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb. An error that the user can act on becomes one sentence on standard error.

        With `--json` it becomes one JSON object on standard output.
        """
        # The return type is click's: whatever a command returns.
        prints_json = "--json" in ctx.args
        exit_code, sentences = 0, list[str]()
        try:
            return super().invoke(ctx)
        except* MephistoError as errors:
            for error in leaves(errors):
                sentences.append(advised(str(error), ctx))
                exit_code = max(exit_code, EXIT_UNUSABLE if isinstance(error, _UNUSABLE) else EXIT_REFUSED)
        except* click.ClickException as errors:
            if not prints_json:
                raise next(leaves(errors)) from None
            for refused in leaves(errors):
                sentences.append(advised(refused.format_message(), ctx))
                exit_code = max(exit_code, refused.exit_code)
        if prints_json:
            failed = ErrorOutput(VerbFailure(ctx.invoked_subcommand, tuple(sentences)))
            echo(printable_json(msgspec.json.encode(failed).decode()))
        else:
            for sentence in sentences:
                echo(f"mephisto-es {ctx.invoked_subcommand}: {sentence}", err=True)
        raise click.exceptions.Exit(exit_code)


@contextmanager
def _collecting_no_garbage() -> Iterator[None]:
    """Spare an import the garbage collector, which takes a tenth of its time and finds nothing."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _suggestion(word: str) -> str:
    if word in MEPHISTO_VERBS:
        return MEPHISTO_VERBS[word]
    near = nearest(word, VERBS)
    return "See mephisto-es --help." if near is None else f"Did you mean {near!r}?"


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mephisto-es", message="%(prog)s %(version)s")
def main() -> None:
    """Crowdsourced data collection on an event log."""
