"""Accounts of crowd sites are checked by asking the site, and old figures are named."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
import yaml

from mephisto_es.adapters.diagnostics.accounts import check_accounts, check_terms
from mephisto_es.adapters.diagnostics.checks import CheckState
from mephisto_es.adapters.providers.connect.provider import ConnectProvider
from mephisto_es.adapters.providers.prolific.provider import ProlificProvider

from ..providers.fake_sites import open_connect, open_prolific


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.yml"
    monkeypatch.setenv("MEPHISTO_CONFIG", str(path))
    return path


async def test_each_account_is_asked_about(settings: Path) -> None:
    assert {ProlificProvider.PROVIDER_TYPE, ConnectProvider.PROVIDER_TYPE} == {"prolific", "connect"}
    async with open_prolific() as prolific, open_connect() as connect:
        settings.write_text(  # noqa: ASYNC240 - a small file
            yaml.safe_dump(
                {
                    "core": {"main_data_directory": "/nowhere"},
                    "prolific": {
                        "lab": {"api_key": prolific.site.token, "base_url": prolific.url},
                        "old": {"api_key": "revoked-token", "base_url": prolific.url},
                    },
                    "connect": {"lab": {"api_key": connect.site.key, "base_url": connect.url}},
                }
            )
        )
        found = {one.what: one async for one in check_accounts()}
    assert found["prolific lab"].state is CheckState.OK
    assert found["prolific lab"].text.startswith("workspace 'My workspace', 10000.00 USD available, at least ")
    assert found["connect lab"].text.endswith(" USD available")
    assert found["prolific old"].state is CheckState.WRONG
    assert "register the account again with a valid key" in found["prolific old"].text
    assert not any("revoked-token" in one.text + (one.hint or "") for one in found.values())
    assert len(found) == 3


def test_old_figures_are_named() -> None:
    assert list(check_terms(date(2026, 12, 1))) == []
    assert {one.state for one in check_terms(date(2027, 12, 1))} == {CheckState.MISSING}
