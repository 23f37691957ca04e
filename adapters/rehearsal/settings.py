"""Describes a rehearsal, and what the process of the launch script reports about each run that it launches."""

from __future__ import annotations

from pathlib import Path

import msgspec


class RehearsalSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The choices of one rehearsal."""

    #: The launch script.
    script: Path
    #: Arguments of the script: settings in Hydra's grammar.
    overrides: tuple[str, ...] = ()
    #: The folder of the rehearsal, with a log of its own.
    data_dir: Path
    #: Simulated workers of each run.
    workers: int = 30
    #: Units of each run.
    units: int = 50
    #: Seed of the workers' behaviour.
    seed: int = 0
    #: A Python file with the workers' answers; None: they follow the form.
    answers: Path | None = None
    #: The browser to look at the pages with; None: none.
    chromium: str | None = None


class LaunchedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that the launch script has launched."""

    task_run: int
    task_name: str
    #: The address of its server.
    url: str
    #: True if the page is the task's own, not the stock page.
    has_own_page: bool
    #: True for a chat, whose code says when it is over.
    is_chat: bool
    #: Messages that each worker of a chat writes; 0 if the work is not a chat, or its code decides.
    chat_messages: int
    reward_cents: int
    #: The most that a unit can cost, with fees and bonus.
    cost_of_unit_cents: int
    #: Ordinary units of the real run; None if nobody knows.
    planned_units: int | None
    #: The most that the real run can cost; None if nobody knows.
    planned_cents: int | None
