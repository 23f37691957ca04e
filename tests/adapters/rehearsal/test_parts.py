"""The parts of a rehearsal: forms filled in, pages read without a browser, time estimated."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import httpx
import msgspec
import pytest
import trio

from mephisto_es.adapters.blueprints.form_spec import FIELD_TYPES, read_form
from mephisto_es.adapters.blueprints.form_validation import problems_of
from mephisto_es.adapters.crowd.page_client import split_uploads
from mephisto_es.adapters.rehearsal.answers_file import AnswersFile
from mephisto_es.adapters.rehearsal.bots import TaskForms, draw_crowd
from mephisto_es.adapters.rehearsal.form_answers import FormAnswers
from mephisto_es.adapters.rehearsal.html_form import PageHtml
from mephisto_es.adapters.rehearsal.human_time import careless_seconds, honest_seconds
from mephisto_es.adapters.rehearsal.page_look import PageLook, fields_of, look_at_page
from mephisto_es.adapters.rehearsal.settings import LaunchedRun

FORM: list[dict[str, Any]] = [
    {"name": "line", "type": "text", "max_length": 5, "required": True},
    {"name": "text", "type": "textarea"},
    {"name": "agreed", "type": "checkbox", "required": True},
    {"name": "photo", "type": "file", "accept": "image/*", "required": True},
    {"name": "papers", "type": "file", "multiple": True},
    {"name": "scale", "type": "scale", "min": 0, "max": 10, "required": True},
    {"name": "slider", "type": "slider", "min": 0, "max": 1, "step": 0.25},
    {"name": "choice", "type": "choice", "options": ["a", {"value": "b", "label": "B"}], "required": True},
    {"name": "select", "type": "select", "options": ["a", "b"], "show_if": {"field": "choice", "is": "a"}},
    {"name": "several", "type": "multi_choice", "options": [1, 2, 3], "min_choices": 2},
    {"name": "matrix", "type": "matrix", "rows": ["r", "s"], "options": ["x", "y"], "required": True},
    {"name": "rubric", "type": "rubric", "criteria": [{"name": "style", "levels": ["low", "high"]}]},
    {"name": "ranking", "type": "ranking", "items": ["one", "two", "three"]},
    {"name": "extremes", "type": "best_worst", "items": ["one", "two", "three"], "required": True},
    {"name": "better", "type": "pairwise", "items": ["one", "two"], "tie": "equal"},
]


@pytest.mark.parametrize("is_careless", [False, True])
def test_answers_are_those_that_a_form_allows(is_careless: bool) -> None:
    fields = read_form(FORM, "form")
    assert {field["type"] for field in FORM} == set(FIELD_TYPES)
    answer = FormAnswers(fields, is_careless=is_careless)
    filled: set[str] = set()
    for seed in range(50):
        work, uploads = split_uploads(answer({}, Random(seed)))
        assert isinstance(work, dict)
        assert problems_of(fields, msgspec.json.decode(msgspec.json.encode(work))) == ()
        assert {name for name, _ in uploads} == ({"photo"} if is_careless else {"photo", "papers"})
        filled |= {name for name, value in work.items() if value is not None}
    required = {field.name for field in fields if field.required}
    assert filled == (required if is_careless else {field.name for field in fields}) | {"presented_order"}


PAGE = """<!doctype html><html><head><title>Task</title><script src="/wrap_crowd_source.js"></script>
<script type="module">import * as Mephisto from "/mephisto_client.js"; {script}</script></head>
<body><form hidden><input name="one"><textarea id="two" maxlength="20"></textarea>
<select name="three"><option value="">Choose</option><option value="a">A</option></select>
<input type="radio" name="four" value="yes"><input type="radio" name="four" value="no">
<input type="range" name="five" min="2" max="4"><input type="file" name="six"><input type="checkbox" name="seven">
<input type="submit"></form></body></html>"""


def test_fields_stand_in_the_html() -> None:
    page = PageHtml(PAGE)
    assert {name: type(field).__name__ for name, field in page.fields.items()} == {
        "one": "TextField",
        "two": "TextAreaField",
        "three": "SelectField",
        "four": "ChoiceField",
        "five": "SliderField",
        "six": "FileField",
        "seven": "CheckboxField",
    }
    answers = FormAnswers(list(page.fields.values()))({}, Random(1))
    assert isinstance(answers, dict)
    assert answers["three"] == "a"
    assert answers["four"] in ("yes", "no")
    assert 2 <= answers["five"] <= 4


def look(files: dict[str, str]) -> PageLook:
    """Look at a page that a server has so."""

    def answer(request: httpx.Request) -> httpx.Response:
        body = files.get(request.url.path)
        return httpx.Response(404) if body is None else httpx.Response(200, text=body)

    async def run() -> PageLook:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://server") as client:
            return await look_at_page(client, "/")

    return trio.run(run)


def test_fields_of_an_html_task_are_found() -> None:
    async def run() -> list[str]:
        transport = httpx.MockTransport(
            lambda asked: httpx.Response(200 if "task" in asked.url.path else 404, text=PAGE)
        )
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            assert await fields_of(client, "/missing.html") == ()
            return [field.name for field in await fields_of(client, "/task.html")]

    assert trio.run(run) == ["one", "two", "three", "four", "five", "six", "seven"]


SERVED = {"/wrap_crowd_source.js": "", "/mephisto_client.js": "request_agent; new FormData()"}


def test_a_page_is_read_without_a_browser() -> None:
    good = look({**SERVED, "/": PAGE.replace("{script}", "task.submit(new FormData(form))")})
    assert (good.faults, good.unread_fields) == ((), ())
    bad = look({**SERVED, "/": PAGE.replace("{script}", "import './x.js'; document.getElementById('top'); one; two")})
    assert bad.faults == (
        "the page loads /x.js, which is not there (404)",
        "a script looks for the element #top, which the page does not have",
    )
    assert bad.unread_fields == ("three", "four", "five", "six", "seven")
    assert look({}).faults == ("the page was answered 404",)
    assert look({"/": "<html></html>"}).faults == (
        "no script of the page asks for work",
        "the page has neither text nor scripts",
    )


def test_reading_and_writing_take_time() -> None:
    text = {"text": "word " * 230}
    assert honest_seconds(text, {"rating": 4, "comment": None}) == pytest.approx(5 + 60 + 3)
    assert honest_seconds({}, {"comment": "word " * 40, "presented_order": {"a": [1]}}) == pytest.approx(5 + 60)
    assert careless_seconds({"rating": 4, "comment": None}) == 3


RUN = LaunchedRun(
    task_run=1,
    task_name="rating",
    url="http://server",
    has_own_page=False,
    is_chat=False,
    chat_messages=0,
    reward_cents=5,
    cost_of_unit_cents=5,
    planned_units=None,
    planned_cents=None,
)


def test_a_few_workers_have_each_habit() -> None:
    forms = TaskForms(RUN, {}, ())
    bots = draw_crowd(RUN, 30, Random(7), forms, None, ())
    habits = ("disconnects_on_unit", "returns_unit", "reloads_on_unit", "times_out_on_unit", "double_clicks")
    assert {habit: sum(bool(getattr(bot, habit)) for bot in bots) for habit in habits} == {
        "disconnects_on_unit": 2,
        "returns_unit": 3,
        "reloads_on_unit": 3,
        "times_out_on_unit": 2,
        "double_clicks": 4,
    }
    assert sum(bot.name.startswith("careless-") for bot in bots) == 6
    small = draw_crowd(RUN, 3, Random(7), forms, None, ())
    assert not any(getattr(bot, habit) for bot in small for habit in habits[:4])


def test_in_a_chat_workers_write_until_it_is_over_and_no_field_is_missed() -> None:
    chat = msgspec.structs.replace(RUN, is_chat=True)
    forms = TaskForms(chat, {}, ())
    assert (forms.task, TaskForms(RUN, {}, ()).task[0].name) == ([], "answer")
    bots = draw_crowd(chat, 30, Random(7), forms, None, ())
    assert all(bot.waits_for_end and not bot.reloads_on_unit and not bot.times_out_on_unit for bot in bots)
    assert not any(bot.waits_for_end for bot in draw_crowd(RUN, 3, Random(7), forms, None, ()))


def test_workers_practice_as_they_work() -> None:
    training = {"items": [{"data": {}, "answers": {"rating": [4, 5]}}, {"data": {}, "answers": {"rating": 1}}]}
    config: dict[str, Any] = {
        "frontend": {
            "form": [{"name": "rating", "type": "scale", "required": True}],
            "onboarding": {"training": training},
        }
    }
    bots = draw_crowd(RUN, 5, Random(7), TaskForms(RUN, config, ()), None, ())
    practiced = {bot.name.partition("-")[0]: bot.answer_onboarding({}, Random(1)) for bot in bots}
    assert practiced["honest"] == {"training": [{"answers": {"rating": 4}}, {"answers": {"rating": 1}}]}
    assert practiced["careless"] == {"training": [{"answers": {"rating": 1}}, {"answers": {"rating": 1}}]}


def test_a_page_of_the_tasks_own_gets_what_it_submitted_itself() -> None:
    own = msgspec.structs.replace(RUN, has_own_page=True)
    [bot, *_] = draw_crowd(own, 1, Random(7), TaskForms(own, {}, ()), None, [{"text": "short"}])
    assert bot.answer({"passage": "long"}, Random(1)) == {"text": "short"}


def test_answers_of_a_file_have_uploads_and_plain_values(tmp_path: Path) -> None:
    (tmp_path / "cat.jpg").write_bytes(b"a cat")
    file = tmp_path / "my_bots.py"
    file.write_text(
        "import numpy, pathlib\n"
        "from mephisto_es import BotFile\n"
        "def answer(unit_data, rng):\n"
        "    made = BotFile('note.txt', b'a note', 'text/plain')\n"
        "    all = {'one': pathlib.Path('cat.jpg'), 'some': [made], 'score': numpy.float64(0.5), 'gone':"
        " pathlib.Path('dog.jpg'), 'odd': {1, object()}}\n"
        "    return {name: all[name] for name in unit_data}\n"
    )
    answers = AnswersFile(file)
    work, uploads = split_uploads(answers.answer(["one", "some", "score"], Random(1)))
    assert work == {
        "one": {"name": "cat.jpg", "size": 5, "type": "image/jpeg"},
        "some": [{"name": "note.txt", "size": 6, "type": "text/plain"}],
        "score": 0.5,
    }
    assert [(field, one.content) for field, one in uploads] == [("one", b"a cat"), ("some", b"a note")]
    assert answers.failures == {}
    for unusable in ("gone", "odd"):
        assert answers.answer([unusable], Random(1)) is None
    assert list(answers.failures) == [
        f"answer returned a file that cannot be read: {tmp_path / 'dog.jpg'} (FileNotFoundError)",
        "answer returned dict with a value that JSON cannot hold",
    ]
