"""Starts made-up launch scripts in this process, as `python run_task.py` does in one of its own."""

from __future__ import annotations

import runpy
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from mephisto_es.adapters.composition.data_dir import DATABASE_FILE

CONFIG = """#@package _global_
defaults:
  - /mephisto/blueprint: {blueprint}
  - /mephisto/architect: mock
  - /mephisto/provider: mock
"""
SCRIPT = """
import trio
from mephisto_es import ConfigError, SharedRemoteProcedureTaskState, SharedStaticTaskState, task_script

{before}

@task_script(default_config_file="task")
{main}

main()
"""
MAIN = """
async def main(operator, cfg):
    await operator.launch_task_run_or_die(cfg.mephisto, {shared})
    await operator.shutdown()
"""

Content = str | bytes


class Outcome(NamedTuple):
    """The files that a script left behind."""

    code: int
    errors: str
    events: int


class LaunchHarness:
    """A task's folder, and what became of its script."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def write(
        self,
        files: Mapping[str, Content],
        settings: Mapping[str, object],
        *,
        task: Mapping[str, object] | None = None,
        blueprint: str = "static_task",
        shared: str = "None",
        before: str = "",
        main: str = MAIN,
    ) -> Path:
        """Write a task's files; returns its script."""
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        conf = self.folder / "hydra_configs" / "conf" / "task.yaml"
        conf.parent.mkdir(parents=True)
        about = {"task_title": "T", "task_description": "D", "task_reward": "0.10", "task_tags": "t", **(task or {})}
        mephisto = {"blueprint": dict(settings), "task": about, "database": {"data_dir": str(self.folder / "log")}}
        conf.write_text(CONFIG.format(blueprint=blueprint) + yaml.safe_dump({"mephisto": mephisto}))
        script = self.folder / "run_task.py"
        script.write_text(SCRIPT.format(before=before, main=main.replace("{shared}", shared)))
        return script

    def start(
        self,
        files: Mapping[str, Content],
        settings: Mapping[str, object],
        *,
        task: Mapping[str, object] | None = None,
        blueprint: str = "static_task",
        shared: str = "None",
        before: str = "",
        main: str = MAIN,
        arguments: Sequence[str] = (),
    ) -> Outcome:
        """Write a task's files and run its script to its end."""
        script = self.write(files, settings, task=task, blueprint=blueprint, shared=shared, before=before, main=main)
        self._monkeypatch.setattr(sys, "argv", [str(script), *arguments])
        self._monkeypatch.chdir(self.folder)
        try:
            runpy.run_path(str(script), run_name="__main__")
        except SystemExit as end:
            code = int(str(end.code))
        else:
            code = 0
        return Outcome(code, self._capsys.readouterr().err, self.events())

    def events(self) -> int:
        """Return the number of events in the log."""
        if not (self.folder / "log" / DATABASE_FILE).exists():
            return 0
        with sqlite3.connect(self.folder / "log" / DATABASE_FILE) as db:
            ((count,),) = db.execute("SELECT count(*) FROM events").fetchall()
        db.close()
        return int(count)
