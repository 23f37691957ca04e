import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import MISSING, OmegaConf

from mephisto_es.core.redaction import REDACTED, looks_secret, redacted, redacted_text

SECRET = "S3cr3t-value-of-mine"


@pytest.mark.parametrize(
    "name",
    [
        "token",
        "API_TOKEN",
        "api_key",
        "apiKey",
        "apikey",
        "key",
        "access-key",
        "aws_access_key_id",
        "AWS_SECRET_ACCESS_KEY",
        "client_secret",
        "password",
        "db_passwd",
        "pwd",
        "passphrase",
        "private_key",
        "ssh_keys",
        "credentials",
        "Authorization",
        "auth",
        "session_cookie",
        "prolific.api_token",
    ],
)
def test_names_of_secrets_are_known(name: str) -> None:
    assert looks_secret(name)
    assert redacted({"deep": [{name: SECRET}]}) == {"deep": [{name: REDACTED}]}


@pytest.mark.parametrize(
    "name",
    [
        "task_title",
        "monkey",
        "keyboard",
        "author",
        "passed",
        "hostname",
        "port",
        "turkey_pwdx",
        "data_csv",
        "secret_file",
    ],
)
def test_other_names_are_left_alone(name: str) -> None:
    assert not looks_secret(name)
    assert redacted({name: "plain"}) == {name: "plain"}


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://me:hunter2@db.example/x",
        "https://ghtoken@git.example/x",
        "AKIAABCDEFGHIJKLMNOP",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "xoxb-123456789012-abcdefghijkl",
        "sk-abcdefghijklmnopqrstuvwx",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nMIIE and no end",
        "curl -H 'Authorization: Bearer abcdefgh12345678'",
        "run --password=hunter2 --user=me",
        "export API_TOKEN=hunter2; make",
    ],
)
def test_texts_of_the_shape_of_a_secret_are_hidden_under_any_name(text: str) -> None:
    shown = redacted_text(f"before {text} after")
    assert REDACTED in shown
    assert shown.startswith("before ")
    for part in ("hunter2", "ghtoken", "ABCDEFGHIJKLMNOP", "abcdefgh", "123456789012", "MIIE", "c2lnbmF0dXJl"):
        assert part not in shown


@pytest.mark.parametrize(
    "text", ["a sentence about tokens", "http://localhost:3000/?worker_id=x", "mail me@example.org", "task-sk-short"]
)
def test_ordinary_texts_stay(text: str) -> None:
    assert redacted_text(text) == text


def test_values_of_herokus_environment_are_hidden_and_its_names_shown() -> None:
    config = {"architect": {"heroku_config_args": {"ONE": "something", "EMPTY": ""}, "heroku_team": "us"}}
    assert redacted(config) == {
        "architect": {"heroku_config_args": {"ONE": REDACTED, "EMPTY": ""}, "heroku_team": "us"}
    }


def test_all_below_a_secret_name_is_hidden_but_what_gives_nothing_away() -> None:
    config = {"credentials": {"user": "me", "pin": 1234, "both": ["a", None], "on": True, "later": "???"}}
    assert redacted(config) == {
        "credentials": {"user": REDACTED, "pin": REDACTED, "both": [REDACTED, None], "on": True, "later": "???"}
    }


def test_a_secret_is_hidden_wherever_its_text_stands() -> None:
    shown = redacted({"api_key": SECRET, "command": f"deploy --with {SECRET} now"})
    assert shown["command"] == f"deploy --with {REDACTED} now"


def test_a_short_secret_does_not_shred_other_texts() -> None:
    assert redacted({"pwd": "a", "title": "a cat"})["title"] == "a cat"


@dataclass
class Settings:
    task_dir: str = "/srv/task"
    data_csv: str = "${task_dir}/data.csv"
    reward: str = MISSING
    api_key: str = SECRET
    copied: str = "key is ${api_key}"
    from_outside: str = "${oc.env:MY_SERVICE_TOKEN}"
    home: str = "${oc.env:MY_FOLDER}"
    names: list[str] = field(default_factory=lambda: ["a", "b"])
    where: Path = Path("/x")


def test_a_hydra_config_comes_out_resolved_and_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SERVICE_TOKEN", "from-the-environment")
    monkeypatch.setenv("MY_FOLDER", "/home/me")
    shown = redacted(OmegaConf.structured(Settings))
    assert shown == {
        "task_dir": "/srv/task",
        "data_csv": "/srv/task/data.csv",
        "reward": "???",
        "api_key": REDACTED,
        "copied": f"key is {REDACTED}",
        "from_outside": REDACTED,
        "home": "/home/me",
        "names": ["a", "b"],
        "where": "/x",
    }


texts = st.text(st.characters(exclude_characters="§", codec="utf-8"))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(texts, values, max_size=4), texts.map(lambda text: f"§secret{text}"))
def test_whatever_the_config_the_copy_is_json_without_the_secret(config: dict[str, object], secret: str) -> None:
    shown = redacted({**config, "password": secret, "also": ["x", {"y": f"<{secret}>"}]})
    assert "§" not in json.dumps(shown, ensure_ascii=False)


def test_a_text_of_the_shape_of_a_secret_is_hidden_in_a_config_too() -> None:
    config = {"note": "password=hunter2hunter2 works", "list": ["https://me:hunter2hunter2@example.edu"]}
    assert redacted(config) == {"note": "password=<redacted> works", "list": ["https://<redacted>@example.edu"]}
