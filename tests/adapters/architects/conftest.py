from collections.abc import Iterator

import pytest

from .fake_heroku import FakeHeroku, installed_fake_heroku


@pytest.fixture
def fake_heroku(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHeroku]:
    with installed_fake_heroku(tmp_path_factory.mktemp("heroku"), monkeypatch) as fake_heroku:
        yield fake_heroku
