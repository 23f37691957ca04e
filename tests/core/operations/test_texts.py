"""All texts for workers come from one catalogue, in every language."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import trio.testing

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.architects.router.python import packets as python_packets
from mephisto_es.adapters.architects.router.python.http.task_config import TaskConfigFile
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.adapters.providers.arrival_page import VisitText
from mephisto_es.core.decisions.refusals import refusal_text
from mephisto_es.core.errors import ConfigError
from mephisto_es.core.operations.run.server import provider_script
from mephisto_es.core.operations.texts.catalogue import (
    PROVIDER_GROUPS,
    ServerText,
    language_names,
    load_texts,
    texts_of,
)
from mephisto_es.events.engagement import RefusalReason
from mephisto_es.events.ids import TaskRunId

from .operator_harness import HarnessTaskState, ask, items, open_harness

ROOT = Path(__file__).resolve().parents[3]
CLIENT = ROOT / "adapters" / "blueprints" / "page"
BLUEPRINTS = ROOT / "adapters" / "blueprints"
PROVIDERS = ROOT / "adapters" / "providers"
NODE_PACKETS = ROOT / "adapters" / "architects" / "router" / "node" / "lib" / "packets.js"
TEXTS_FILE = CLIENT / "mephisto_texts.js"
#: Texts of an HTML file that are shown before its script has loaded the texts of the run.
BEFORE_SCRIPTS = {
    "Loading the task…",
    "Loading your work…",
    "This task needs JavaScript. Please switch it on and reload the page.",
    "This page needs JavaScript. Please switch it on and reload the page.",
    "Task",
}
ENGLISH = texts_of("en")

_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_LITERAL = re.compile(r'"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`')
_SENTENCE = re.compile(r"^\W*[A-Z][\w']* .*\w")
#: A text of any length that a script puts onto the page.
_SHOWN = re.compile(r'(?:textContent|title|placeholder|ariaLabel)\s*[=:]\s*"([^"]*\w[^"]*)"')
_WORDS_OF_HTML = re.compile(r">\s*([^<>]*\w[^<>]*?)\s*<")
#: Calls whose texts are for developers.
_FOR_DEVELOPERS = re.compile(r"(?:console\.\w+|new \w*Error|super)\(\s*$")


@pytest.mark.parametrize("language", language_names())
def test_every_language_has_every_text_with_its_placeholders(language: str) -> None:
    texts = texts_of(language)
    assert set(texts) == set(ENGLISH)
    for key, text in texts.items():
        assert text.strip(), key
        assert re.findall(r"\{\w+\}", text) != [] or "{" not in ENGLISH[key]
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", ENGLISH[key])), key


def test_there_are_ten_languages_and_one_from_right_to_left() -> None:
    assert len(language_names()) >= 10
    assert load_texts("ar", {}).direction == "rtl"
    assert load_texts("de", {}).direction == "ltr"


def test_english_texts_are_the_same_wherever_they_are() -> None:
    for reason in RefusalReason:
        assert ENGLISH[f"refusal.{reason.name}"] == refusal_text(reason)
    assert ENGLISH["router.busy"] == python_packets.BUSY
    assert f'export const BUSY = "{ENGLISH["router.busy"]}";' in NODE_PACKETS.read_text(encoding="utf-8")
    [in_page] = re.findall(r"const ENGLISH = (\{.*?\});", TEXTS_FILE.read_text(encoding="utf-8"), re.DOTALL)
    elsewhere = {"refusal", "router", *PROVIDER_GROUPS}
    of_page = {key: text for key, text in ENGLISH.items() if key.partition(".")[0] not in elsewhere}
    assert json.loads(re.sub(r",\s*\}$", "}", in_page)) == of_page


PROVIDER_SCRIPTS = sorted(PROVIDERS.rglob("*.js"))
SCRIPTS = [*sorted(path for path in BLUEPRINTS.rglob("*.js") if path != TEXTS_FILE), *PROVIDER_SCRIPTS]
PAGES = sorted(BLUEPRINTS.rglob("*.html"))


def test_the_pages_of_every_blueprint_are_looked_at() -> None:
    assert {"worker_page.js", "html_task.js", "world_chat.js", "static_task_page.js"} <= {one.name for one in SCRIPTS}
    assert len(PAGES) >= 4
    assert {path.parent.name for path in PROVIDER_SCRIPTS} == {"page", "mock_page"}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_page_itself_has_only_texts_of_the_catalogue(page: Path) -> None:
    """Texts in an HTML file are replaced by its script once it knows the language."""
    body = re.sub(r"<(script|style).*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert set(_WORDS_OF_HTML.findall(body)) <= BEFORE_SCRIPTS | set(ENGLISH.values())


def texts_in(script: str) -> list[str]:
    """Return the texts for workers that a script has of its own."""
    code = _COMMENT.sub("", script)
    sentences: list[str] = [
        found[1] or found[2]
        for found in _LITERAL.finditer(code)
        if _SENTENCE.match(found[1] or found[2] or "") and not _FOR_DEVELOPERS.search(code[: found.start()])
    ]
    return [*sentences, *_SHOWN.findall(code)]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_sentence_is_outside_the_catalogue(script: Path) -> None:
    assert texts_in(script.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("script", PROVIDER_SCRIPTS, ids=lambda path: path.parent.name)
@pytest.mark.parametrize(
    ("put_back", "text"),
    [
        (lambda code: re.sub(r'"(arrival|visit)\.\w+"', '"This address lacks your id."', code), "This address lacks"),
        (lambda code: f'{code}\nlink.textContent = "Continue";', "Continue"),
    ],
)
def test_a_sentence_left_in_a_script_is_found(script: Path, put_back: Callable[[str], str], text: str) -> None:
    assert any(text in found for found in texts_in(put_back(script.read_text(encoding="utf-8"))))


def test_every_text_of_providers_is_used_by_one() -> None:
    codes = "".join(path.read_text(encoding="utf-8") for path in PROVIDER_SCRIPTS)
    used = {key for key in re.findall(r'"(\w+\.\w+)"', codes) if key.partition(".")[0] in PROVIDER_GROUPS}
    known = {key for key in ENGLISH if key.partition(".")[0] in PROVIDER_GROUPS}
    assert used | {text.value for text in VisitText} == known


@pytest.mark.parametrize("text", ServerText)
def test_the_operator_sends_texts_in_the_language_of_the_run(text: ServerText) -> None:
    assert load_texts("ar", {}).of_server(text) == texts_of("ar")[text.value]
    assert load_texts("ar", {text.value: "Stop."}).of_server(text) == "Stop."


@pytest.mark.parametrize("language", language_names())
def test_a_providers_script_has_its_texts_in_the_language_of_the_run(language: str) -> None:
    changes = {"visit.arrived": "</script> Done."}
    lines = provider_script(b"run();", {"worker": "w"}, load_texts(language, changes)).decode().split("\n")
    assert lines[0] == 'window.MEPHISTO_PROVIDER = {"worker":"w"};'
    assert lines[2] == "run();"
    assert "<" not in lines[1]
    told = json.loads(lines[1].removeprefix("window.MEPHISTO_TEXTS = ").removesuffix(";"))
    assert (told["language"], told["direction"]) == (language, "rtl" if language == "ar" else "ltr")
    of_language = {key: text for key, text in texts_of(language).items() if key.partition(".")[0] in PROVIDER_GROUPS}
    assert told["texts"] == {**of_language, **changes}


def test_keys_that_scripts_use_are_in_the_catalogue() -> None:
    codes = [path.read_text(encoding="utf-8") for path in SCRIPTS]
    groups = {key.partition(".")[0] for key in ENGLISH}
    used = {key for code in codes for key in re.findall(r'"(\w+\.\w+)"', code) if key.partition(".")[0] in groups}
    assert len(used) > 60
    assert used <= set(ENGLISH)


def test_a_language_and_single_texts_can_be_chosen() -> None:
    texts = load_texts("de-AT", {"page.submit": "Fertig"})
    assert texts.refusal(RefusalReason.PAUSED) == "Diese Aufgabe ist angehalten. Bitte kommen Sie später wieder."
    page = texts.for_page()
    assert (page["language"], page["direction"]) == ("de-AT", "ltr")
    assert isinstance(page["texts"], dict)
    assert page["texts"]["page.submit"] == "Fertig"
    assert load_texts("en", {}).for_page() == {}
    with pytest.raises(ConfigError, match="there are no texts in the language 'xx'"):
        load_texts("xx", {})
    with pytest.raises(ConfigError, match="there is no text"):
        load_texts("en", {"page.submitt": "Send"})


async def test_who_gets_no_work_reads_why_in_the_language_of_the_run(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    MemoryArchitect.routers.clear()
    async with open_harness(tmp_path, MemoryLog()) as harness:
        await harness.launch(HarnessTaskState(data=items(1)), language="fr", maximum_units_per_worker=1)
        router = MemoryArchitect.routers[TaskRunId(1)]
        first = await ask(router, "ann")
        second = await ask(router, "bob", 1)
        router.return_task(first["agent_id"])
        assert second["failure_reason"] == texts_of("fr")["refusal.NO_AVAILABLE_UNITS"]
        await harness.operator.force_shutdown()


def test_a_router_reads_its_text_from_the_configuration_of_the_page(tmp_path: Path) -> None:
    config = TaskConfigFile(str(tmp_path))
    assert config.text("router.busy", "Later") == "Later"
    (tmp_path / "task_config.json").write_text('{"texts": {"router.busy": "Plus tard"}, "task_title": "Une tâche"}')
    assert config.text("router.busy", "Later") == "Plus tard"
    (tmp_path / "task_config.json").write_text("[]")
    assert config.text("router.busy", "Later") == "Later"
