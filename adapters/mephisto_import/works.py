"""Gives the stored work of agents and onboarding agents, and copies their files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from ...core.payloads import agent_files_dir
from ...events.ids import AgentId
from ..private_files import make_private_folder
from .source import OnboardingRow, Source, SourceAgent
from .stored_work import StoredWork, read_work
from .work import SUBMITTED

#: Folder of the onboardings of a run, and the prefix of each of them.
_ONBOARDING, _ONBOARDING_PREFIX = "onboarding", "onboarding_"


class Works:
    """The work that Mephisto keeps in files beside a database."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def of_agent(self, agent: SourceAgent) -> StoredWork:
        """Return the work of an agent."""
        return read_work(self._source, agent.task_run_id, agent.assignment_id, agent.agent_id)

    def of_onboarding(self, agent: OnboardingRow) -> StoredWork:
        """Return the work of an onboarding agent."""
        name = f"{_ONBOARDING_PREFIX}{agent.onboarding_agent_id}"
        return read_work(self._source, agent.task_run_id, _ONBOARDING, name)

    def of_all(self) -> Iterator[tuple[SourceAgent, StoredWork]]:
        """Yield all agents with their work."""
        for agent in self._source.rows(SourceAgent):
            yield agent, self.of_agent(agent)

    @cached_property
    def has_files(self) -> bool:
        """True if a worker uploaded files that are beside the database."""
        return any(work.files for agent, work in self.of_all() if agent.status in SUBMITTED)

    def copy_files(self, runs_dir: Path) -> None:
        """Copy the files of all submissions to where those of runs are.

        Args:
            runs_dir: the folder of all runs; created if there are files.

        Raises:
            OSError: a file cannot be copied.
        """
        for agent, work in self.of_all():
            if work.files and agent.status in SUBMITTED:
                folder = agent_files_dir(runs_dir / str(agent.task_run_id), AgentId(agent.agent_id))
                make_private_folder(folder)
                for file in work.files:
                    shutil.copyfile(file.path, folder / file.ref.filename)
