from collections.abc import Iterator

import pytest

from .stand_in import StandIn, heroku_stand_in


@pytest.fixture
def stand_in(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    with heroku_stand_in(tmp_path_factory.mktemp("heroku"), monkeypatch) as stand_in:
        yield stand_in
