"""What is said of versions of SQLite."""

import pytest

from mephisto_es.adapters.diagnostics.checks import State, sqlite


@pytest.mark.parametrize(
    ("version", "state", "warns"),
    [
        ((3, 36, 0), State.WRONG, False),
        ((3, 37, 0), State.OK, True),
        ((3, 51, 2), State.OK, True),
        ((3, 51, 3), State.OK, False),
    ],
)
def test_what_is_said_of_sqlite(version: tuple[int, int, int], state: State, warns: bool) -> None:
    finding = sqlite(version)
    assert finding.state is state
    assert ".".join(map(str, version)) in finding.said
    assert ("WAL-reset" in finding.said) is warns
    assert (finding.hint is not None) is (state is State.WRONG)
