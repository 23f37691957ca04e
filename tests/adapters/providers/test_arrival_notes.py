"""A launch says what the address is for that it prints."""

from __future__ import annotations

from pathlib import Path

import pytest
from trio.testing import MockClock

from mephisto_es.adapters.providers.connect.provider import ConnectProvider
from mephisto_es.adapters.providers.link.provider import LinkProvider
from mephisto_es.adapters.providers.mock import MockProvider
from mephisto_es.adapters.providers.prolific.provider import ProlificProvider
from mephisto_es.adapters.providers.sona.provider import SonaProvider

from .site_run import open_site_run, write_accounts


@pytest.mark.parametrize("kind", ["prolific", "connect"])
async def test_a_launch_says_how_people_come(
    kind: str,
    tmp_path: Path,
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MEPHISTO_CONFIG", str(write_accounts(tmp_path)))
    async with open_site_run(kind, tmp_path) as run:
        await run.launch(1)
        assert run.provider_class.ARRIVAL_NOTE in capsys.readouterr().err


def test_each_address_that_does_not_work_by_itself_has_a_note() -> None:
    notes = [one.ARRIVAL_NOTE for one in (ConnectProvider, ProlificProvider, SonaProvider, LinkProvider)]
    assert all(notes)
    assert len(set(notes)) == len(notes)
    assert not MockProvider.ARRIVAL_NOTE
