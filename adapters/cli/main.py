"""The `mephisto-es` command: verbs that are imported when they are used, and what becomes of an error."""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

import click

from ...core.errors import ConfigError, MephistoError, UnusableLogError, leaves

#: What was asked for is refused, or what was looked at is not legal.
EXIT_REFUSED = 1
#: What was given cannot be used: a setting, a file, a command line.
EXIT_UNUSABLE = 2

_UNUSABLE = (ConfigError, UnusableLogError)


class Verb(NamedTuple):
    """A verb without its code, so that `--help` need not import it."""

    #: `module:attribute`, the module being one of this package.
    target: str
    #: One line for `mephisto-es --help`.
    about: str


VERBS = {
    "backup": Verb("backup:backup_command", "Copy a log, also one that is being written, and prove the copy."),
    "bundle": Verb("bundle:bundle_command", "Pack a run's redacted log for a bug report."),
    "check": Verb("check:check_command", "See whether everything is there that runs need."),
    "config": Verb("config:config_command", "Show or change your own settings."),
    "demo": Verb("demo:demo_command", "Run the sentence rating example with a simulated crowd."),
    "diff": Verb("diff:diff_command", "What changed between two moments."),
    "doctor": Verb("doctor:doctor_command", "Save what can be saved of a damaged log."),
    "explain": Verb("explain:explain_command", "Why a worker was let in, refused, or given a unit."),
    "export": Verb("export:export_command", "A run as a table: JSON Lines, CSV or Parquet."),
    "forget": Verb("forget:forget_command", "Delete the name of a worker and all that it sent."),
    "import-mephisto": Verb("import_mephisto:import_mephisto_command", "Make a log of a Mephisto database."),
    "leaks": Verb("leaks:leaks_command", "What runs still hold outside: servers, apps, objects at providers."),
    "ledger": Verb("ledger:ledger_command", "What is owed and paid to whom in a run."),
    "pay": Verb("pay:pay_command", "Pay what a run owes, after asking."),
    "plugins": Verb("plugins:plugins_command", "What is installed, and why something does not load."),
    "projections": Verb("projections:projections_command", "List the views of a log, or make them anew."),
    "reap": Verb("reap:reap_command", "Release what runs that are over still hold outside."),
    "register": Verb("register:register_command", "Make an account at a crowd provider known."),
    "replay": Verb("replay:replay_command", "Prove from its log alone that what happened was legal."),
    "requesters": Verb("requesters:requesters_command", "The accounts that work is offered under."),
    "resume": Verb("resume:resume_command", "Go on with a run whose operator has died."),
    "review": Verb("review:review_command", "Accept or reject work that was handed in."),
    "runs": Verb("runs:runs_command", "What runs there are, and how far each is."),
    "serve": Verb("serve:serve_command", "Show a log in a browser."),
    "show": Verb("show:show_command", "The tables as they were at a time or position."),
    "status": Verb("status:status_command", "Where a run stands."),
    "timeline": Verb("timeline:timeline_command", "What happened to a unit, agent, worker or run."),
    "top": Verb("top:top_command", "Watch a run, or replay one that is over."),
    "torture": Verb("torture:torture_command", "Kill an operator again and again, and see that nothing is lost."),
    "verify": Verb("verify:verify_command", "See whether every event is what was written, and none is missing."),
    "why-open": Verb("why_open:why_open_command", "What keeps a run from finishing."),
    "worker": Verb("worker:worker_command", "Block a worker, grant or revoke qualifications."),
    "wut": Verb("wut:wut_command", "What can be set, for every run or for one blueprint."),
}


class LazyGroup(click.Group):
    """A group whose commands are named in `VERBS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The verbs, in order."""
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A verb's command, imported now."""
        if cmd_name not in VERBS:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = VERBS[cmd_name].target.partition(":")
        command = getattr(importlib.import_module(f".{module}", __package__), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{VERBS[cmd_name].target} is not a click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs into the help text without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(verb, VERBS[verb].about) for verb in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb; an error that somebody can act on ends in one sentence on standard error."""
        # The return type is click's: whatever a command returns.
        exit_code = 0
        try:
            return super().invoke(ctx)
        except* MephistoError as errors:
            for error in leaves(errors):
                click.echo(f"mephisto-es {ctx.invoked_subcommand}: {error}", err=True)
                exit_code = max(exit_code, EXIT_UNUSABLE if isinstance(error, _UNUSABLE) else EXIT_REFUSED)
        raise click.exceptions.Exit(exit_code)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mephisto-es", message="%(prog)s %(version)s")
def main() -> None:
    """Crowdsourced data collection on an event log."""
