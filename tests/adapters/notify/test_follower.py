"""Followers send each notice at least once, from where they stopped, and delay nobody else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from mephisto_es.adapters.composition.clock_and_ids import SystemClock
from mephisto_es.adapters.log.anchor import append_anchor
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.notify import follower as module
from mephisto_es.adapters.notify.follower import NotifyFollower
from mephisto_es.adapters.notify.notice import NOTICE_KINDS, NoticeRules
from mephisto_es.adapters.notify.position import NotifyPosition
from mephisto_es.adapters.notify.receivers import Receiver, WebhookReceiver
from mephisto_es.adapters.notify.service import Notifier
from mephisto_es.core.signal import Signal
from mephisto_es.events.catalogue import AnyEvent

from .events import KINDS, WORTH_A_NOTICE, requests
from .webhook import open_webhook

ALL_KINDS = frozenset(NOTICE_KINDS) - {"anchor", "disk"}


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SqliteLog]:
    with SqliteLog.create_or_open(tmp_path / "mephisto.db") as log:
        yield log


class Writer:
    """Appends events, one commit each."""

    def __init__(self, log: SqliteLog) -> None:
        self.committed = Signal()
        self._log = log

    def append(self, *events: AnyEvent) -> None:
        self._log.commit(requests(*events))
        self.committed.notify()


def follower(log: SqliteLog, url: str, commits: Signal, *, kinds: frozenset[str] = ALL_KINDS) -> NotifyFollower:
    receiver: Receiver = WebhookReceiver(url, None, SystemClock())
    position = NotifyPosition(log.path.parent / "notices" / f"{url.rpartition(':')[2].replace('/', '-')}.json")
    return NotifyFollower(log, commits.wait, NoticeRules(kinds), receiver, position, kinds, SystemClock(), lambda: 0.0)


async def test_each_notice_arrives_whenever_the_follower_dies(log: SqliteLog) -> None:
    chance, writer = Random(1), Writer(log)
    async with open_webhook() as webhook:
        webhook.status = lambda: 200 if chance.random() < 0.7 else 503
        with trio.fail_after(120):
            async with trio.open_nursery() as nursery:
                first = follower(log, webhook.url, writer.committed)
                nursery.start_soon(first.run)
                await wait_all_tasks_blocked()  # it has begun, and what follows is news
                nursery.cancel_scope.cancel()
            writer.append(*WORTH_A_NOTICE)
            for _ in range(20):
                with trio.move_on_after(chance.random() * 0.05):
                    await follower(log, webhook.url, writer.committed).run()
            async with trio.open_nursery() as nursery:
                last = follower(log, webhook.url, writer.committed)
                nursery.start_soon(last.run)
                await last.wait_caught_up()
                nursery.cancel_scope.cancel()
    by_id = {taken.notice.id: taken for taken in webhook.taken}
    assert [taken.notice.kind for taken in by_id.values()] == KINDS
    assert {taken.headers["webhook-id"] for taken in webhook.taken} == by_id.keys()
    # The same notice again has the same words.
    assert len({taken.body for taken in webhook.taken}) == len(by_id)


async def test_what_happened_before_the_first_start_is_no_news(log: SqliteLog) -> None:
    writer = Writer(log)
    writer.append(*WORTH_A_NOTICE[:5])
    async with open_webhook() as webhook, trio.open_nursery() as nursery:
        following = follower(log, webhook.url, writer.committed)
        nursery.start_soon(following.run)
        await following.wait_caught_up()
        await wait_all_tasks_blocked()
        log.commit(requests(*WORTH_A_NOTICE)[5:])
        writer.committed.notify()
        await webhook.wait_for(lambda: len(webhook.taken) == 6)
        nursery.cancel_scope.cancel()
    assert Counter(taken.notice.kind for taken in webhook.taken) == Counter(KINDS[2:])


async def test_a_receiver_that_is_down_delays_no_other_and_no_end(log: SqliteLog) -> None:
    writer = Writer(log)
    async with open_webhook() as webhook, trio.open_nursery() as nursery:
        followers = [follower(log, url, writer.committed) for url in ("http://127.0.0.1:1/dead", webhook.url)]
        notifier = Notifier(followers)
        nursery.start_soon(notifier.run)
        await wait_all_tasks_blocked()  # each has begun, and what follows is news
        writer.append(*WORTH_A_NOTICE)
        with trio.fail_after(120):
            await webhook.wait_for(lambda: len(webhook.taken) == len(KINDS))
        with trio.fail_after(120):
            await notifier.wait_caught_up(0.1)
        nursery.cancel_scope.cancel()


async def test_a_full_disk_and_a_missing_anchor_are_worth_one_notice_each(
    log: SqliteLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHECK_SECONDS", 0.01)
    monkeypatch.setattr(module, "LOW_DISK_BYTES", 2**63)
    writer = Writer(log)
    writer.append(*WORTH_A_NOTICE[:2])
    async with open_webhook() as webhook, trio.open_nursery() as nursery:
        nursery.start_soon(follower(log, webhook.url, writer.committed, kinds=frozenset({"disk", "anchor"})).run)
        await webhook.wait_for(lambda: len(webhook.taken) == 2)
        append_anchor(log.path, log.head())
        await trio.sleep(0.1)
        nursery.cancel_scope.cancel()
    disk, anchor = sorted((taken.notice for taken in webhook.taken), key=lambda one: one.kind, reverse=True)
    assert (disk.id, anchor.id) == ("2-disk", "2-anchor")
    assert anchor.text == "the log is not anchored: its anchor file ends at seq 0, the log at seq 2"
    assert disk.text.endswith("MiB left; free some space")
