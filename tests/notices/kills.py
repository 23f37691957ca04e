"""Kills an operator again and again while a webhook takes its notices, and compares what arrived with the log."""

from __future__ import annotations

import sys
from collections import Counter
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

import trio

from mephisto_es.adapters.composition.data_dir import DATABASE_FILE
from mephisto_es.adapters.log.sqlite.reader import LogReader
from mephisto_es.adapters.notify.notice import Notice, NoticeRules

from ..adapters.notify.webhook import Webhook, open_webhook
from ..processes import kill
from .job import KINDS

MODULE = "mephisto_es.tests.notices.job"
#: Submissions of one process, after which it waits to be killed.
LIMIT = 4
#: One of so many stops is an orderly one, which pauses the run.
TERM_EVERY = 5
#: Requests of which the webhook takes one in so many only at the second attempt.
REFUSED_EVERY = 4
GIVE_UP_SECONDS = 600


class Verdict(NamedTuple):
    """What arrived, beside what the log is worth."""

    #: Notices by kind, each counted once.
    kinds: Counter[str]
    #: Notices that arrived more than once, with the same id.
    repeated: int
    #: What is wrong; nothing if all is well.
    problems: tuple[str, ...]

    @property
    def absent(self) -> list[str]:
        """The kinds of which nothing arrived, because nothing happened; with many kills there are none."""
        return [kind for kind in KINDS if not self.kinds[kind]]


async def kill_again_and_again(data_dir: Path, kills: int, seed: int) -> Verdict:
    """Kill an operator while it works and sends notices; let the last one end its run; return what arrived.

    Args:
        data_dir: the folder of the log.
        kills: number of operators that are killed, or asked to end.
        seed: chooses the moments, each a number of notices that were taken.
    """
    chance = Random(seed)
    async with open_webhook() as webhook:
        requests = 0

        def status() -> int:
            nonlocal requests
            requests += 1
            return 503 if requests % REFUSED_EVERY == 0 else 200

        webhook.status = status
        # Connections are made, and nobody ever answers them.
        [silent] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        dead = f"http://127.0.0.1:{silent.socket.getsockname()[1]}/dead"
        async with silent:
            arguments = [str(data_dir), webhook.url, dead, str((kills + 1) * LIMIT)]
            with trio.fail_after(GIVE_UP_SECONDS):
                for number in range(kills):
                    fails = "fails" if number % 2 else "works"
                    command = [sys.executable, "-m", MODULE, *arguments, fails, str(LIMIT)]
                    await run_until_killed(
                        command, webhook, chance.randint(1, LIMIT), is_asked=number % TERM_EVERY == TERM_EVERY - 1
                    )
                # The last operator waits a second for its notices, and no other one sends the rest.
                webhook.status = lambda: 200
                await trio.run_process([sys.executable, "-m", MODULE, *arguments, "works", "1000000"])
    return verdict_of(data_dir, [taken.notice for taken in webhook.taken], [taken.body for taken in webhook.taken])


async def run_until_killed(command: list[str], webhook: Webhook, notices: int, *, is_asked: bool) -> None:
    """Run an operator until the webhook has taken so many notices of it, then kill it or ask it to end."""
    before = len(webhook.taken)
    async with trio.open_nursery() as nursery:
        process: trio.Process = await nursery.start(
            partial(trio.run_process, command, check=False, deliver_cancel=kill)
        )
        await webhook.wait_for(lambda: len(webhook.taken) >= before + notices)
        if is_asked:
            process.terminate()
        else:
            process.kill()


def verdict_of(data_dir: Path, taken: list[Notice], bodies: list[bytes]) -> Verdict:
    """Compare what the webhook took with what the events of the log are worth."""
    rules = NoticeRules(KINDS)
    with LogReader(data_dir / DATABASE_FILE) as log:
        worth = [one.id for recorded in log.read() for one in rules.apply(recorded)]
    first = dict.fromkeys(one.id for one in taken)
    kinds = Counter(notice_id.partition("-")[2] for notice_id in first)
    problems = [
        *(f"{notice_id} never arrived" for notice_id in worth if notice_id not in first),
        *(f"{notice_id} arrived, and no event is worth it" for notice_id in first if notice_id not in worth),
    ]
    if len(set(bodies)) != len(first):
        problems.append("a notice that was sent again has other words")
    if list(first) != sorted(first, key=worth.index if set(first) <= set(worth) else str):
        problems.append("notices arrived in another order than their events")
    return Verdict(kinds, len(taken) - len(first), tuple(problems))
