"""Launches that cannot work, as people start them: refused with the remedy, with nothing recorded and exit code 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ..launch_harness import Content, LaunchHarness, Outcome

#: A page of one's own that would work.
PAGE = '<script src="/wrap_crowd_source.js"></script><script type="module" src="/page.js"></script>'
TABLE = "id,text\n1,one\n2,two\n"
OF_TABLE: dict[str, object] = {"data_csv": "data.csv"}


def refused(outcome: Outcome, *sentences: str) -> None:
    """Assert that a script said why it did nothing."""
    for sentence in sentences:
        assert sentence in outcome.errors
    assert "Traceback" not in outcome.errors
    assert (outcome.code, outcome.events) == (1, 0)


TABLES: list[tuple[Content, str, str]] = [
    ("", "there are no column names", "Begin the file with a line of column names"),
    ("id,text\n", "holds no data", "Add a row for each unit"),
    ("id,text\n,\n\n", "holds no data", "Add a row for each unit"),
    ("id,text\n1,one,more\n", "line 2: 3 values under 2 column names", "Name the missing column"),
    ('id,text\n1,"one\n2,two\n', "line 2: a quotation mark is never closed", "within a cell, write two"),
    ("id,text\n1,niño\n".encode("latin-1"), "is not UTF-8; it seems to be Windows-1252", "iconv -f cp1252"),
    ("id,text\n1,one\n".encode("utf-16-be"), "it seems to be UTF-16", "iconv -f utf-16-be"),
    (b"PK\x03\x04" + bytes(100), "is an Excel workbook", "save it as 'CSV UTF-8"),
    ("id|text\n1|one\n", "mephisto.blueprint.show names 'text'", "Did you mean 'id|text'?"),
]


@pytest.mark.parametrize(("content", "what", "remedy"), TABLES)
def test_a_table_that_cannot_be_used(launch: LaunchHarness, content: Content, what: str, remedy: str) -> None:
    refused(launch.start({"data.csv": content}, OF_TABLE | {"show": ["text"]}), what, remedy)


def test_a_cell_of_more_than_a_mebibyte(launch: LaunchHarness) -> None:
    content = f"id,text\n1,{'x' * (1024 * 1024 + 1)}\n"
    refused(launch.start({"data.csv": content}, OF_TABLE), "line 2: a cell has more than 1,048,576 characters")


SETTINGS: list[tuple[dict[str, object], str, str]] = [
    ({"show": ["tekst"]}, "mephisto.blueprint.show names 'tekst', which is not in the data", "Did you mean 'text'?"),
    ({"show": [{"name": "nothing like it"}]}, "which is not in the data", "Known are: id, text"),
    ({"show": [{"name": "text", "as": "imagge"}]}, "mephisto.blueprint.show is not a list of columns", "as: image"),
    ({"show": [{"nam": "text"}]}, "mephisto.blueprint.show is not a list of columns", "An entry is the name"),
    ({"show": [{"name": "text", "as": "image"}]}, "item 1 shows 'one' (text)", "Set mephisto.blueprint.media_dir"),
    ({"media_dir": "nowhere"}, "there is no folder nowhere", "Set mephisto.blueprint.media_dir"),
    ({"form": []}, "mephisto.blueprint.form is empty", "Add a field"),
    ({"onboarding": {"from": []}}, "mephisto.blueprint.onboarding has no 'from'", "Did you mean 'form'?"),
    ({"data_json": "data.csv"}, "the data comes from data_csv, data_json", "Set exactly one of"),
    ({"data_csv": "dta.csv"}, "dta.csv cannot be read: No such file", "Check the path"),
    (
        {"onboarding": {"show": ["rule"]}, "onboarding_qualification": "q"},
        "mephisto.blueprint.onboarding.show names 'rule'",
        "None is known",
    ),
    (
        {"form": [{"name": "files", "type": "text"}]},
        "under which a submission lists its uploads",
        "Choose another name",
    ),
    ({"form": [{"name": " ", "type": "text"}]}, "a field has no name", "stored by the names"),
]


@pytest.mark.parametrize(("settings", "what", "remedy"), SETTINGS)
def test_settings_that_do_not_fit(launch: LaunchHarness, settings: dict[str, object], what: str, remedy: str) -> None:
    refused(launch.start({"data.csv": TABLE}, OF_TABLE | settings), what, remedy)


@pytest.mark.parametrize("name", ["item", "length", "namedItem", "elements", "__proto__", "constructor"])
def test_a_field_whose_answer_would_be_lost(launch: LaunchHarness, name: str) -> None:
    settings = OF_TABLE | {"form": [{"name": name, "type": "text"}]}
    outcome = launch.start({"data.csv": TABLE}, settings)
    refused(outcome, f"a field is named {name!r}, like a property of every form", "Choose another name")


@pytest.mark.parametrize(
    ("picture", "what", "remedy"),
    [
        ("cat.PNG", "item 1 shows 'cat.PNG' (picture), and there is no such file in media", "capital letters"),
        ("../data.csv", "which is outside of the media folder", "Use names of files below it"),
    ],
)
def test_media_that_are_missing(launch: LaunchHarness, picture: str, what: str, remedy: str) -> None:
    files: dict[str, Content] = {"data.csv": f"picture\n{picture}\n", "media/cat.png": b"picture"}
    settings = OF_TABLE | {"media_dir": "media", "show": [{"name": "picture", "as": "image"}]}
    refused(launch.start(files, settings), what, remedy)


PAGES: list[tuple[str, dict[str, Content], str, str]] = [
    ("page.html", {}, "there is no file page.html", "to an HTML file"),
    ("page.html", {"page.html": PAGE}, "page.html loads 'page.js', which is not served", "extra_source_dir"),
    (
        "page.html",
        {"page.html": "<p>${sentense}</p>"},
        "page.html shows ${sentense}, which is not in the data",
        "Known are: id, text",
    ),
    ("page.txt", {"page.txt": "hello"}, "is neither a page nor a bundle of scripts", "a bundle of scripts (.js)"),
    ("app.jsx", {"app.jsx": "<App />"}, "is source code that browsers cannot run", "build/bundle.js"),
    ("app.js", {"app.js": "// The page.\nimport React from 'react';\n"}, "has import or export statements", "Build it"),
    ("app.js", {"app.js": "const document = 1; export { document };\n"}, "has import or export statements", "Build it"),
    ("app.js", {"app.js": ""}, "app.js has no entry point: nothing in it draws on the page", "entry of the build"),
    ("page", {"page/start.html": PAGE}, "page has no index.html", "Rename start.html"),
    ("page", {"page/index.html": "<p>hello</p>"}, "index.html has no <script>", "neither get its data nor submit"),
    ("page", {"page/index.html": PAGE}, "index.html loads 'page.js', which is not in page", "Build the page first"),
    ("nowhere", {}, "there is no page at nowhere", "Build it first"),
]


@pytest.mark.parametrize(("source", "files", "what", "remedy"), PAGES)
def test_a_page_that_would_stay_blank(
    launch: LaunchHarness, source: str, files: dict[str, Content], what: str, remedy: str
) -> None:
    refused(launch.start({"data.csv": TABLE, **files}, OF_TABLE | {"task_source": source}), what, remedy)


SCRIPTS: list[tuple[str, str, str, str]] = [
    ("", "static_task_data=[{'text': 'x' * 2000}]", "item 1 has 2,0", "max_item_bytes (1,000)"),
    ("", "static_task_data=[{'text': {1, object()}}]", "item 1 cannot be stored as JSON", "item 1"),
    ("", "static_task_data=[('a', 'b')]", "static_task_data: item 1 is a tuple", "Each item must be a dict"),
    ("", "static_task_data=[]", "static_task_data is empty", "Pass an object for each assignment"),
    ("", "static_task_data={'text': 'one'}", "static_task_data is a dict", "Pass a list, a generator"),
    ("def items():\n    yield {}", "static_task_data=items", "static_task_data is a function", "Call it"),
    (
        "def may(worker): return True",
        "static_task_data=[{}], worker_can_do_unit=may",
        "worker_can_do_unit is called with 2 arguments, which run_task.py:5 may(worker) does not accept",
        "Define it as worker_can_do_unit(worker, unit)",
    ),
    (
        "async def told(): pass",
        "static_task_data=[{}], on_unit_submitted=told",
        "on_unit_submitted is called with 1 argument",
        "Define it as on_unit_submitted(unit)",
    ),
    (
        "",
        "static_task_data=[{}], on_unit_submitted='told'",
        "on_unit_submitted is a str, not a function",
        "Pass on_unit_submitted(unit)",
    ),
    (
        "def judge(inputs, outputs): return True",
        "static_task_data=[{}], validate_onboarding=judge",
        "validate_onboarding is called with 1 argument",
        "Define it as validate_onboarding(onboarding_data)",
    ),
    (
        "def gold(): return {}",
        "static_task_data=[{}], get_gold_for_worker=gold",
        "get_gold_for_worker is called with 1 argument",
        "Define it as get_gold_for_worker(worker)",
    ),
    (
        "def needs(done, right, wrong): return True",
        "static_task_data=[{}], worker_needs_gold=needs",
        "worker_needs_gold is called with 4 arguments",
        "worker_needs_gold(units_completed, num_correct, num_incorrect, min_golds)",
    ),
]


@pytest.mark.parametrize(("before", "shared", "what", "remedy"), SCRIPTS)
def test_a_script_that_passes_what_cannot_work(
    launch: LaunchHarness, before: str, shared: str, what: str, remedy: str
) -> None:
    state = f"SharedStaticTaskState({shared})"
    refused(launch.start({}, {}, task={"max_item_bytes": 1000}, before=before, shared=state), what, remedy)


def test_a_procedure_with_other_parameters(launch: LaunchHarness) -> None:
    shared = "SharedRemoteProcedureTaskState(static_task_data=[{}], function_registry={'add': lambda a, b: a + b})"
    files = {"page/index.html": PAGE, "page/page.js": ""}
    outcome = launch.start(files, {"task_source": "page"}, blueprint="remote_procedure", shared=shared)
    refused(outcome, "add is called with 3 arguments", "Define it as add(request_id, args, agent_state)")


@pytest.mark.parametrize(
    ("main", "what", "remedy"),
    [
        (
            "async def main(operator, cfg):\n    operator.launch_task_run(cfg.mephisto)",
            "launch_task_run(...) was called without await, so it did nothing",
            "Write: await operator.launch_task_run(...)",
        ),
        (
            "async def main(operator, cfg):\n    run = operator.launch_task_run_or_die(cfg.mephisto)\n    print(run)",
            "launch_task_run_or_die(...) was called without await",
            "Write: await operator.launch_task_run_or_die(...)",
        ),
    ],
)
def test_a_launch_that_is_not_awaited(launch: LaunchHarness, main: str, what: str, remedy: str) -> None:
    refused(launch.start({"data.csv": TABLE}, OF_TABLE, main=main), what, remedy)


def test_a_wait_that_is_not_awaited(launch: LaunchHarness) -> None:
    main = """
async def main(operator, cfg):
    await operator.launch_task_run(cfg.mephisto)
    operator.wait_for_runs_then_shutdown()
"""
    outcome = launch.start({"data.csv": TABLE}, OF_TABLE, main=main)
    assert outcome.code == 1
    assert "Write: await operator.wait_for_runs_then_shutdown(...)" in outcome.errors


WARNINGS: list[tuple[dict[str, Content], dict[str, Any], str]] = [
    ({"data.csv": "id;text\n1;one, two\n"}, {}, "data.csv: the columns are separated by semicolons"),
    ({"data.csv": "sep=\t\nid\ttext\n1\tone\n"}, {}, "data.csv: the columns are separated by tabs"),
    ({"data.csv": ",id,text\n0,1,one\n"}, {}, "data.csv: column 1 has no name and is ignored (pandas"),
    (
        {"data.csv": "id,text\n1\n"},
        {},
        "data.csv: rows with fewer cells than the header are filled with empty cells (1 line: 2)",
    ),
    ({"data.csv": "id,text\n,\n1,one\n\n"}, {}, "data.csv: empty rows are skipped (2 lines: 2, 4)"),
    ({"data.csv": "text,text\n1,one\n"}, {}, "columns 1 and 2 are both named 'text'; the second is used"),
    ({"data.csv": TABLE}, {"show": []}, "the page does not show these columns: text"),
    (
        {"data.csv": TABLE, "page/index.html": "<script>mine()</script>"},
        {"task_source": "page"},
        "page/index.html does not load /wrap_crowd_source.js",
    ),
]


@pytest.mark.parametrize(("files", "settings", "warning"), WARNINGS)
def test_what_is_odd_but_clear_is_launched_with_a_warning(
    launch: LaunchHarness, files: dict[str, Content], settings: dict[str, object], warning: str
) -> None:
    outcome = launch.start(files, OF_TABLE | settings)
    assert warning in outcome.errors
    assert outcome.code == 0
    assert outcome.events > 0


@pytest.mark.parametrize(
    "encode", [str.encode, lambda text: b"\xef\xbb\xbf" + text.encode(), lambda text: text.encode("utf-16")]
)
def test_an_ordinary_table_is_launched_without_a_word(launch: LaunchHarness, encode: Callable[[str], bytes]) -> None:
    outcome = launch.start({"data.csv": encode(TABLE)}, OF_TABLE)
    assert "warning" not in outcome.errors
    assert outcome.code == 0
    assert outcome.events > 0
