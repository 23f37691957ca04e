"""Checks of versions of SQLite."""

import pytest

from mephisto_es.adapters.diagnostics.checks import CheckState, check_sqlite


@pytest.mark.parametrize(
    ("version", "state", "warns"),
    [
        ((3, 36, 0), CheckState.WRONG, False),
        ((3, 37, 0), CheckState.OK, True),
        ((3, 51, 2), CheckState.OK, True),
        ((3, 51, 3), CheckState.OK, False),
    ],
)
def test_what_is_said_of_sqlite(version: tuple[int, int, int], state: CheckState, warns: bool) -> None:
    finding = check_sqlite(version)
    assert finding.state is state
    assert ".".join(map(str, version)) in finding.text
    assert ("WAL-reset" in finding.text) is warns
    assert (finding.hint is not None) is (state is CheckState.WRONG)
