"""The read-only pages."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from pyarrow import parquet

from mephisto_es.adapters.log.sqlite.as_of import open_as_of
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.adapters.log.sqlite.writer_lock import lock_path
from mephisto_es.adapters.web.access import Access
from mephisto_es.core.entity_ref import EntityRef
from mephisto_es.core.ports import AppendRequest, NewEvent
from mephisto_es.events import streams
from mephisto_es.events.ids import ProjectId, TaskId, UnitId
from mephisto_es.events.records import ProjectCreated, TaskPutInProject
from mephisto_es.projections.queries.history.entity_events import events_about
from mephisto_es.projections.queries.history.explain import explain_assignment, explain_worker
from mephisto_es.projections.queries.history.timeline import timeline
from mephisto_es.projections.queries.runs.run_status import all_runs, run_status
from mephisto_es.projections.registry import PROJECTIONS

from ...sample_log import RUN, failing_history
from .visitor import Visitor, words_of

_LINK = re.compile(r'(?:href|src)="([^"]+)"')
#: Pages that are visited when all links are followed.
MAX_PAGES = 3000


def process_that_ended() -> int:
    """Return the id of a process that is gone."""
    with subprocess.Popen(["true"]) as ended:
        return ended.pid


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def remove(path: Path) -> None:
    path.unlink()


async def test_every_link_of_every_page_leads_somewhere(visitor: Visitor, database: Path) -> None:
    before = digest(database)
    seen, waiting = {"/"}, ["/"]
    while waiting and len(seen) < MAX_PAGES:
        page = await visitor.get(waiting.pop())
        if not page.headers["content-type"].startswith("text/html"):
            continue
        for link in _LINK.findall(page.text):
            address = urljoin(page.url.path, link.replace("&amp;", "&"))
            # Each past moment and each order of rows is another page: one look at them is in tests of their own.
            if "sort=" not in address and not urlsplit(address).netloc and "#" not in address and address not in seen:
                seen.add(address)
                waiting.append(address)
    assert not waiting
    for part in ("/units", "/workers", "/review", "/export.parquet", "/timeline/agent-", "/explain/worker-"):
        assert any(part in address for address in seen), part
    assert digest(database) == before


async def test_the_runs(visitor: Visitor, database: Path) -> None:
    said = await visitor.read("/")
    with open_as_of(database) as moment:
        runs = all_runs(moment).runs
    for run in runs:
        assert f"run-{run.task_run_id} {run.task_name} {run.status}" in said
        assert f"{run.units_done:,} of {run.units_total:,} units done" in said


async def test_the_project_of_a_run(tmp_path: Path) -> None:
    project, history = ProjectId(3), failing_history()
    put = (
        NewEvent(streams.project(project), ProjectCreated(project=project, name="<speech>")),
        NewEvent(streams.task(TaskId(1)), TaskPutInProject(project=project)),
    )
    with SqliteLog.create_or_open(tmp_path / "mephisto.db", PROJECTIONS) as log:
        log.commit([*history, AppendRequest(command="put", actor="test", at=history[-1].at, events=put)])
    visitor = Visitor(tmp_path / "mephisto.db", Access(None), "127.0.0.1")
    for page in ("/", f"/runs/{RUN}"):
        assert f"run-{RUN} sentence rating in <speech>" in await visitor.read(page)
    visitor.log.close()


async def test_a_banner_says_that_newcomers_get_no_work(tmp_path: Path) -> None:
    path = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(path, PROJECTIONS) as log:
        log.commit(failing_history())
    visitor = Visitor(path, Access(None), "127.0.0.1")
    for page in ("/", f"/runs/{RUN}"):
        said = await visitor.read(page)
        assert "admission is paused because worker_can_do_unit failed 3 times in a row" in said
        assert f"mephisto-es retry {tmp_path} {RUN}" in said
    visitor.log.close()


async def test_a_banner_says_that_the_operator_died_and_what_to_do(visitor: Visitor, database: Path) -> None:
    said = f"no operator is running: mephisto-es resume {database.parent} continues it"
    for page in ("/", f"/runs/{RUN}"):
        assert said not in await visitor.read(page), "nobody knows who wrote this log"
    # From now on this process has the log open, and is no operator.
    await visitor.send("/workers/3", {"action": "grant", "name": "careful", "value": "2"})
    for page in ("/", f"/runs/{RUN}"):
        assert said in await visitor.read(page)
    assert said not in await visitor.read(f"/runs/{RUN}?seq=200"), "the past had an operator, as far as anybody knows"
    visitor.log.close()
    assert said not in await visitor.read("/")
    lock_path(database).write_text(str(process_that_ended()))
    assert said in await visitor.read("/")


async def test_advised_commands_name_the_log(visitor: Visitor, database: Path) -> None:
    assert f"or with mephisto-es worker {database.parent} ." in await visitor.read("/qualifications")


async def test_a_run_is_what_status_says_at_each_moment(visitor: Visitor, database: Path) -> None:
    with open_as_of(database) as moment:
        head = moment.seq
    for seq in (None, 60, 200, head):
        with open_as_of(database, seq=seq) as moment:
            status = run_status(moment, RUN, now=moment.at)
        said = await visitor.read(f"/runs/{RUN}" + (f"?seq={seq}" if seq else ""))
        progress = status.progress
        assert f"seq {status.seq:,} · {status.at} UTC" in said
        assert f"Units done {progress.units_done:,} of {progress.units_total:,}" in said
        assert f"{status.workers_at_work:,} working {progress.workers:,} in total" in said
        for name, count in progress.units.items():
            assert f"{name.replace('_', ' ')} {count:,}" in said
        for line in status.last_events:
            assert line.text in said


async def test_plots_can_be_heard(visitor: Visitor, database: Path) -> None:
    page = await visitor.get(f"/runs/{RUN}")
    labels = re.findall(r'role="img" aria-label="([^"]+)"', page.text)
    *labels, overview = labels
    assert overview == "Submissions in the whole run; drag over a part to see it in the plots"
    assert [label.partition(":")[0] for label in labels] == [
        "Units by status",
        "Throughput, units per hour",
        "Working agents",
        "Money",
    ]
    assert all(re.search(r"\d", label) for label in labels)


async def test_units_by_status_and_by_the_page(visitor: Visitor, database: Path) -> None:
    with open_as_of(database) as moment:
        units = moment.db.execute("SELECT unit_id, status FROM units WHERE task_run_id = ?", (RUN,)).fetchall()
    said = await visitor.read(f"/runs/{RUN}/units?status=completed")
    for unit, status in units:
        assert (f"unit-{unit} " in said) is (status == "completed")
    last = max(unit for unit, _ in units)
    assert "There are none." in await visitor.read(f"/runs/{RUN}/units?page={last}")
    page = await visitor.get(f"/runs/{RUN}/units?q=worker-3&sort=worker&down=1")
    assert 'value="worker-3"' in page.text
    assert "5 units" in words_of(page)
    assert 'aria-sort="descending"' in page.text
    assert "31 units" in await visitor.read(f"/runs/{RUN}/units?q=zoë")
    assert "Rows are not sorted by 'x'" in await visitor.read(f"/runs/{RUN}/units?sort=x", status=400)
    assert "page is '0'" in await visitor.read(f"/runs/{RUN}/workers?page=0", status=400)
    said = await visitor.read(f"/runs/{RUN}/workers?sort=submitted&q=worker-3")
    assert "worker-3 Zoë 3 registered 5 5" in said
    assert "1 worker" in said


async def test_a_timeline_says_what_the_command_says(visitor: Visitor, database: Path) -> None:
    with open_as_of(database) as moment:
        unit = UnitId(moment.db.execute("SELECT unit_id FROM agents").fetchone()[0])
        subject = EntityRef("unit", unit)
        lines = list(timeline(events_about(moment, subject), subject))
    said = await visitor.read(f"/timeline/unit-{unit}")
    for line in lines:
        assert f"{line.date} " in said
        assert line.text in said
        assert f"seq {line.seq}, by {line.actor}" in said
    earlier = await visitor.read(f"/timeline/unit-{unit}?seq={lines[-1].seq - 1}")
    assert f"seq {lines[-1].seq}," not in earlier
    assert f"seq {lines[0].seq}," in earlier


async def test_decisions_say_what_the_command_says(visitor: Visitor, database: Path) -> None:
    with open_as_of(database) as moment:
        found = moment.db.execute("SELECT agents.worker_id, units.assignment_id FROM agents JOIN units USING (unit_id)")
        worker, assignment = found.fetchone()
        explained = explain_worker(moment, worker), explain_assignment(moment, assignment)
    for explanation in explained:
        said = await visitor.read(f"/explain/{explanation.entity}")
        assert explanation.summary in said
        for step in explanation.steps:
            assert step.text in said
            for rule in step.rules:
                assert f"{'✓ held:' if rule.holds else '✗ did not hold:'} {rule.rule}" in said


async def test_exports(visitor: Visitor, database: Path, tmp_path: Path) -> None:
    page = await visitor.get(f"/runs/{RUN}/export.jsonl")
    rows = [json.loads(line) for line in page.text.splitlines()]
    with open_as_of(database) as moment:
        units = moment.db.execute("SELECT count(*) FROM units WHERE task_run_id = ?", (RUN,)).fetchone()[0]
    assert len(rows) == units
    assert page.headers["content-disposition"] == f'attachment; filename="run-{RUN}.jsonl"'
    assert {row["worker_name"] for row in rows} == {None}
    named = (await visitor.get(f"/runs/{RUN}/export.jsonl?names=1")).text
    assert {json.loads(line)["worker_name"] for line in named.splitlines()} > {None}
    past = await visitor.get(f"/runs/{RUN}/export.csv?seq=200")
    assert f"run-{RUN}-seq-200.csv" in past.headers["content-disposition"]
    (tmp_path / "run.parquet").write_bytes((await visitor.get(f"/runs/{RUN}/export.parquet")).content)
    assert parquet.read_table(tmp_path / "run.parquet").num_rows == units


@pytest.mark.parametrize(
    ("address", "status", "sentence"),
    [
        ("/runs/9999", 404, "there is no run-9999; the nearest is run-1."),
        ("/runs/9999/live", 404, "there is no run-9999"),
        ("/runs/99999999999999999999", 404, "there is no run 99999999999999999999."),
        ("/runs/first", 404, "Page not found."),
        ("/timeline/worker-9999", 404, "there is no worker-9999; the nearest is worker-"),
        ("/timeline/someone", 404, "'someone' is not an id; write for instance run-1, "),
        ("/explain/unit-1", 404, "Decisions are shown for agents, workers and assignments only, not for unit-1."),
        (
            "/find?id=<b>",
            404,
            "there is no run or assignment or unit or agent or onboarding or worker or payment or resource '<b>'",
        ),
        ("/?seq=soon", 400, "seq is 'soon'; it must be a position in the log"),
        ("/?seq=99999999", 404, "there is no seq 99999999; the nearest is seq "),
    ],
)
async def test_what_is_not_there(address: str, status: int, sentence: str, visitor: Visitor) -> None:
    assert sentence in await visitor.read(address, status=status)


async def test_finding(visitor: Visitor) -> None:
    assert (await visitor.get("/find?id= Unit-12 ")).url.path == "/timeline/unit-12"
    assert (await visitor.get("/find?id=run-1")).url.path == "/runs/1"
    assert (await visitor.get("/find?id=Zoë 3")).url.path == "/timeline/worker-3"
    assert (await visitor.get("/find?id=unit12")).url.path == "/timeline/unit-12"
    page = await visitor.get("/find?id=3")
    assert "several with 3 as their id or name: assignment-3 unit-3 agent-3 worker-3 Zoë 3" in words_of(page)
    assert 'href="/timeline/worker-3"' in page.text


async def test_a_log_without_runs(tmp_path: Path) -> None:
    with SqliteLog.create_or_open(tmp_path / "mephisto.db", PROJECTIONS):
        pass
    visitor = Visitor(tmp_path / "mephisto.db", Access(None), "localhost")
    assert "There are no runs in this log yet." in await visitor.read("/")


async def test_a_log_that_was_copied(written: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(written, tmp_path / "an old run.db"))
    visitor = Visitor(copy, Access(None), "[::1]")
    for address in ("/", f"/runs/{RUN}", f"/runs/{RUN}?seq=200", f"/runs/{RUN}/units"):
        assert f"run-{RUN}" in await visitor.read(address)
    assert digest(copy) == digest(written)


async def test_a_log_that_is_gone_is_a_sentence(visitor: Visitor, database: Path) -> None:
    remove(database)
    page = await visitor.get("/", status=503)
    assert f"there is no log at {database}; check the path." in words_of(page)


async def test_another_log_in_its_place(visitor: Visitor, database: Path) -> None:
    await visitor.get(f"/runs/{RUN}")
    remove(database)
    with SqliteLog.create_or_open(database, PROJECTIONS):
        pass
    await visitor.get(f"/runs/{RUN}", status=404)
    assert "There are no runs" in await visitor.read("/")
