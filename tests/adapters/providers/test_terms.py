from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mephisto_es.adapters.fakes.connect.projects import MIN_HOURLY_CENTS as CONNECT_MINIMUM
from mephisto_es.adapters.fakes.prolific.studies import MIN_HOURLY_CENTS as PROLIFIC_MINIMUM
from mephisto_es.adapters.providers.connect.observe import AUTO_APPROVAL_DAYS as CONNECT_DAYS
from mephisto_es.adapters.providers.prolific.observe import AUTO_APPROVAL_DAYS as PROLIFIC_DAYS
from mephisto_es.adapters.providers.terms import TERMS, old_terms, terms_table
from mephisto_es.core.decisions.settlement import CrowdSite
from mephisto_es.core.errors import ConfigError
from mephisto_es.core.operations.configuration.closed_sites import NEAREST_SETTINGS, closed_site_error
from mephisto_es.core.operations.registry import get_crowd_provider_from_type

PAGE = Path(__file__).resolve().parents[3] / "docs" / "providers.md"


def test_terms_grow_old() -> None:
    read_on = next(iter(TERMS.values())).read_on
    assert old_terms(read_on + timedelta(days=180)) == []
    assert old_terms(read_on + timedelta(days=181)) == list(TERMS.values())


def test_terms_agree_with_the_code() -> None:
    assert TERMS[CrowdSite.PROLIFIC].auto_approval_days == PROLIFIC_DAYS
    assert TERMS[CrowdSite.CONNECT].auto_approval_days == CONNECT_DAYS
    assert TERMS[CrowdSite.PROLIFIC].minimum_hourly_cents["USD"] == PROLIFIC_MINIMUM
    assert TERMS[CrowdSite.CONNECT].minimum_hourly_cents["USD"] == CONNECT_MINIMUM


@given(st.sampled_from(sorted(TERMS, key=str)), st.integers(0, 10**9))
def test_the_most_that_a_payment_costs(site: CrowdSite, cents: int) -> None:
    terms = TERMS[site]
    most = terms.most_with_fee_cents(cents)
    if terms.fee_percent is None:
        assert most is None
    else:
        assert most is not None
        exact = cents * (100 + terms.fee_percent[1])
        assert exact <= 100 * most < exact + 100


def test_hourly_pay() -> None:
    assert TERMS[CrowdSite.CONNECT].hourly_cents(150, 6) == 1500
    with pytest.raises(ValueError, match="time"):
        TERMS[CrowdSite.CONNECT].hourly_cents(150, 0)


def test_the_page_shows_the_terms() -> None:
    """To renew the page, print `terms_table()`."""
    assert terms_table() in PAGE.read_text()
    assert str(date(2026, 11, 29)) in PAGE.read_text()


def test_mechanical_turk_is_gone() -> None:
    assert closed_site_error("prolific") is None
    error = closed_site_error("mturk", ["allowed_locales", "something_else", "task_tags"])
    assert error is not None
    assert str(error) == (
        "mephisto/provider=mturk: Amazon Mechanical Turk closed on 2026-09-30. The nearest sites are "
        "CloudResearch Connect and Prolific: see docs/providers.md. "
        f"The nearest settings are: allowed_locales: {NEAREST_SETTINGS['allowed_locales']}; "
        f"task_tags: {NEAREST_SETTINGS['task_tags']}"
    )
    plain = closed_site_error("mturk_sandbox")
    assert plain is not None
    assert str(plain).endswith("The nearest sites are CloudResearch Connect and Prolific: see docs/providers.md")


@pytest.mark.parametrize("name", ["mturk", "mturk_sandbox"])
def test_a_provider_that_is_gone_is_not_merely_unknown(name: str) -> None:
    with pytest.raises(ConfigError, match="Amazon Mechanical Turk closed on 2026-09-30"):
        get_crowd_provider_from_type(name)
    with pytest.raises(ConfigError, match="there is no provider 'turk'"):
        get_crowd_provider_from_type("turk")
