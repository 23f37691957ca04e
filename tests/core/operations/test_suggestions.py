import pytest

from mephisto_es.core.suggestions import did_you_mean, nearest


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("herku", ["local", "heroku"], "Did you mean 'heroku'?"),
        ("x", ["b", "a"], "Known are: a, b"),
        ("x", [], "None is known"),
    ],
)
def test_the_hint_is_the_nearest_word_or_all_of_them(word: str, known: list[str], hint: str) -> None:
    assert did_you_mean(word, known) == hint


def test_nothing_is_near_to_a_word_unlike_all() -> None:
    assert nearest("quux", ["local", "heroku"]) is None
