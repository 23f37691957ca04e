"""The jobs of several operators: two runs of one task, a run with a standby, and the people who come to two runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

import trio
from omegaconf import DictConfig

from mephisto_es.core.signal import Signal

from .job import Environment, JobPlan, config

#: The machines whose operators run tasks.
OPERATORS = ("ada", "bob")
#: How long somebody waits for others before coming alone.
PATIENCE_SECONDS = 60.0
#: How often somebody new comes.
NEW_PEOPLE = 0.7


@dataclass
class BrokenEnvironment(Environment):
    """A world in which the script's code is broken until somebody repairs it."""

    is_broken: bool = False

    def maybe_fail(self) -> None:
        if self.is_broken:
            raise ArithmeticError("the code is broken")


@dataclass(frozen=True)
class SharedJob:
    """A job, and where it is run."""

    plan: JobPlan
    task_name: str
    #: The machines that may run it: several are standbys of each other.
    machines: tuple[str, ...]

    @property
    def is_standby(self) -> bool:
        """True if one of several machines has it at a time."""
        return len(self.machines) > 1

    def config(self) -> DictConfig:
        """Return the configuration with which a machine launches it."""
        cfg = config(self.plan)
        cfg.task.task_name = self.task_name
        cfg.task.task_description = self.plan.name
        cfg.task.standby = self.is_standby
        cfg.task.resume_incomplete_run = self.is_standby
        return cfg


class Together:
    """The place where the windows of one person meet, who comes to all runs of a task at the same moment."""

    def __init__(self, windows: int, chance: Random) -> None:
        self._windows = windows
        self._chance = chance
        self._there = 0
        self._met = Signal()
        self._person = 1

    async def meet(self) -> int:
        """Wait for the other windows, a while; return the number of the person who comes, mostly somebody new."""
        self._there += 1
        if self._there < self._windows:
            with trio.move_on_after(PATIENCE_SECONDS):
                await self._met.wait()
                return self._person
        self._there = 0
        self._person += self._chance.random() < NEW_PEOPLE
        self._met.notify()
        return self._person


def drawn_jobs(chance: Random) -> list[SharedJob]:
    """Draw two runs of one task, a run with a standby, or both."""
    jobs: list[SharedJob] = []
    kinds = chance.choice(("two runs", "standby", "both"))
    if kinds != "standby":
        # The same workers come to both runs at once: those of one provider, who mostly have nothing to do first.
        plan = replace(
            JobPlan.drawn(chance, "").with_money(chance),
            maximum_units=chance.choice([1, 1, 1, 2]),
            is_chat=chance.random() < 0.25,
            has_onboarding=chance.random() < 0.25,
            asks_callback=chance.random() < 0.25,
            concurrent_units=0,
        )
        for machine in OPERATORS:
            own = replace(plan, name=f"twin-{machine}", assignments=chance.randint(2, 4))
            jobs.append(SharedJob(own, "twins", (machine,)))
    if kinds != "two runs":
        plan = replace(JobPlan.drawn(chance, "standby"), maximum_units=0).with_money(chance)
        jobs.append(SharedJob(plan, "standby", OPERATORS))
    return jobs
