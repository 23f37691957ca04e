import pytest
from trio.testing import MockClock


@pytest.fixture
def quick_clock() -> MockClock:
    """Jumps over waits once nothing has happened for a moment: enough for a round trip on loopback."""
    return MockClock(autojump_threshold=0.05)
