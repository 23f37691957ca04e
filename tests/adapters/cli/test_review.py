"""The verbs that record decisions: review and worker."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner, Result, _NamedTextIOWrapper
from msgspec.structs import replace

from mephisto_es.adapters.cli import main as command
from mephisto_es.adapters.cli.common.pay_sums import PaySum
from mephisto_es.adapters.log.audit.replay import replay
from mephisto_es.adapters.log.opening import gate_path
from mephisto_es.adapters.log.sqlite.log import SqliteLog
from mephisto_es.core.lifecycles.agent import AgentStatus
from mephisto_es.core.operations.configuration.money import amount
from mephisto_es.core.ports import NewEvent
from mephisto_es.core.state.decision_state import DecisionState
from mephisto_es.events.engagement import SiteWorkStatus
from mephisto_es.events.streams import run_of
from mephisto_es.events.task_run import TaskRunCreated
from mephisto_es.projections.registry import PROJECTIONS

from ...history_search import find_history, most_to_review
from ...sample_log import submitted_history
from ..site_observations import observe_work


def has_shared_unit(state: DecisionState) -> bool:
    """Return whether two agents have done the same unit."""
    done = (AgentStatus.COMPLETED, AgentStatus.APPROVED)
    agents = Counter((run_of(stream), one.unit) for stream, one in state.agents.items() if one.status in done)
    return max(agents.values(), default=0) > 1


HISTORY = find_history(1000, lambda state: most_to_review(state) >= 4 and has_shared_unit(state))


@pytest.fixture
def database(tmp_path: Path) -> Path:
    with SqliteLog.create_or_open(tmp_path / "mephisto.db", PROJECTIONS) as log:
        log.commit(HISTORY)
    return tmp_path / "mephisto.db"


def test_a_rejection_says_what_it_does_not_take_back(tmp_path: Path) -> None:
    database = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(database, PROJECTIONS) as log:
        log.commit(submitted_history(3, 3))
    run, (paid, unpaid, *_) = waiting(database)
    observe_work(database, paid, SiteWorkStatus.APPROVED)
    observe_work(database, unpaid, SiteWorkStatus.SUBMITTED)
    options = ("--reject", f"agent-{paid}", "--reject", f"agent-{unpaid}", "--note", "copied")
    result = ask("review", database, run, *options)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert [line.split(": ")[0].strip() for line in lines] == [
        f"agent-{paid}",
        "the provider has approved the work already, and a rejection takes nothing back there",
        f"agent-{unpaid}",
    ]


def test_a_bonus_that_the_provider_cannot_pay_is_named(tmp_path: Path) -> None:
    def from_sona(new: NewEvent) -> NewEvent:
        is_run = isinstance(new.event, TaskRunCreated)
        return new._replace(event=replace(new.event, provider_type="sona")) if is_run else new

    database = tmp_path / "mephisto.db"
    with SqliteLog.create_or_open(database, PROJECTIONS) as log:
        log.commit([replace(one, events=tuple(map(from_sona, one.events))) for one in submitted_history(3, 3)])
    run, (first, second, *_) = waiting(database)
    said = "SONA gives credit and pays no bonus: pay it by other means"
    assert said not in ask("review", database, run, "--approve", f"agent-{first}").stdout
    assert said in ask("review", database, run, "--approve", f"agent-{second}", "--bonus", "0.10").stdout
    given = ask("worker", database, "worker-1", "--bonus", "0.10", "--reason", "thank you")
    assert said in given.stdout
    assert f"`mephisto-es pay {database} {run} --settle PAYMENT paid`" in given.stdout


def ask(*words: str | Path | int, said: str | None = None) -> Result:
    return CliRunner().invoke(command.main, list(map(str, words)), input=said)


def all_of(database: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as db:
        return db.execute(query).fetchall()


def waiting(database: Path) -> tuple[int, list[int]]:
    """Return the run with the most unreviewed work, and its agents."""
    unreviewed = "status = 'completed' AND agent_id NOT IN (SELECT agent_id FROM agent_opinions)"
    query = f"SELECT task_run_id FROM units WHERE {unreviewed} GROUP BY 1 ORDER BY count(*) DESC"
    run = int(str(all_of(database, query)[0][0]))
    found = all_of(database, f"SELECT agent_id FROM units WHERE {unreviewed} AND task_run_id = {run}")
    return run, [int(str(agent)) for (agent,) in found]


def verdicts(database: Path) -> dict[object, object]:
    return dict(all_of(database, "SELECT agent_id, status FROM agents"))  # type: ignore[arg-type]  # two columns


def test_work_that_waits_is_listed(database: Path) -> None:
    run, agents = waiting(database)
    listed = json.loads(ask("review", database, run, "--json").stdout)
    assert [unit["agent_id"] for unit in listed["units"]] == agents
    told = ask("review", database, run).stdout
    assert all(f"agent-{agent}" in told for agent in agents)


def test_verdicts_are_recorded(database: Path) -> None:
    run, (first, second, *_) = waiting(database)
    options = ("--approve", f"agent-{first}", "--reject", f"agent-{second}", "--bonus", "0.50", "--note", "looked at")
    result = ask("review", database, run, *options)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"agent-{first}: approved, bonus 0.50\nagent-{second}: rejected\n"
    reviewed = all_of(database, "SELECT status, review_note, bonus FROM unit_review ORDER BY id DESC LIMIT 2")
    assert reviewed == [("rejected", "looked at", None), ("approved", "looked at", 50)]
    assert (verdicts(database)[first], verdicts(database)[second]) == ("approved", "rejected")
    assert replay(database, PROJECTIONS).legal


def test_everything_may_be_accepted_at_once(database: Path) -> None:
    run, (first, *rest) = waiting(database)
    result = ask("review", database, run, "--approve-all", "--soft-reject", f"agent-{first}")
    assert result.exit_code == 0, result.output
    after = verdicts(database)
    assert after[first] == "soft_rejected"
    assert {after[agent] for agent in rest} == {"approved"}
    pay = sum(
        int(str(cents))
        for agent in (first, *rest)
        for (cents,) in all_of(
            database, f"SELECT pay_cents FROM agents JOIN units USING (unit_id) WHERE agents.agent_id = {agent}"
        )
    )
    beginning, *_, end = result.stdout.splitlines()
    assert beginning.startswith(f"payable by these verdicts: {len(rest) + 1} pieces of work, pay {amount(pay)}")
    assert end == beginning.replace("payable by these verdicts", "recorded")
    assert "no unreviewed work matches" in ask("review", database, run, "--approve-all").stdout
    assert "no unreviewed work" in ask("review", database, run).stdout


@pytest.mark.parametrize(
    ("options", "said", "is_recorded"), [((), "n\n", False), ((), "y\n", True), (("--yes",), "", True)]
)
def test_who_approves_all_on_a_terminal_is_asked(
    database: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], said: str, is_recorded: bool
) -> None:
    monkeypatch.setattr(_NamedTextIOWrapper, "isatty", lambda file: file.name == "<stdin>")
    run, agents = waiting(database)
    result = ask("review", database, run, "--approve-all", "--bonus", "0.10", *options, said=said)
    assert ("Approve this?" in result.stdout) is (not options)
    assert f"bonuses {amount(10 * len(agents))}" in result.stdout
    assert ("recorded: " in result.stdout) is is_recorded
    assert {verdicts(database)[agent] for agent in agents} == {"approved" if is_recorded else "completed"}


def test_a_sum_has_fees_where_they_are_known() -> None:
    known = PaySum(pieces=2, pay_cents=50, bonus_cents=10, fee_percent=20, fee_cents=12)
    assert known.text == "2 pieces of work, pay 0.50, bonuses 0.10, fees (20 %) 0.12, total 0.72"
    assert PaySum(1, 25, 0, 0, 0).text == "1 piece of work, pay 0.25"


def test_one_after_the_other(database: Path) -> None:
    run, (first, second, third, *_) = waiting(database)
    result = ask("review", database, run, "--ask", said="a\nn\nr\ncopied\nq\n")
    assert result.exit_code == 0, result.output
    after = verdicts(database)
    assert (after[first], after[second], after[third]) == ("approved", "completed", "rejected")


def test_verdicts_against_work_are_asked_for_a_note(database: Path) -> None:
    run, (first, second, *_) = waiting(database)
    result = ask("review", database, run, "--ask", said="r\n\nis a script\ns\ntoo short\nq\n")
    assert result.exit_code == 0, result.output
    assert "A rejection needs a reason, which the worker reads." in result.stdout
    notes = "SELECT status, review_note FROM unit_review ORDER BY id DESC LIMIT 2"
    assert all_of(database, notes) == [("soft_rejected", "too short"), ("rejected", "is a script")]
    assert (verdicts(database)[first], verdicts(database)[second]) == ("rejected", "soft_rejected")


def test_the_keys_are_explained_to_whoever_types_something_else(database: Path) -> None:
    run, _ = waiting(database)
    result = ask("review", database, run, "--ask", said="\nis a script\nq\n")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("Type one letter: a accepts and pays the work") == 2
    assert "Error" not in result.output


def test_a_unit_stands_for_the_only_agent_that_worked_on_it(database: Path) -> None:
    run, agents_of_run = waiting(database)
    alone = "SELECT unit_id FROM agents GROUP BY 1 HAVING count(*) = 1"
    units = all_of(database, f"SELECT unit_id, agent_id FROM units WHERE unit_id IN ({alone})")
    unit, first = next((unit, agent) for unit, agent in units if agent in agents_of_run)
    result = ask("review", database, run, "--approve", f"unit-{unit}")
    assert result.stdout == f"agent-{first}: approved\n", result.output
    untouched = all_of(database, "SELECT min(unit_id) FROM units WHERE unit_id NOT IN (SELECT unit_id FROM agents)")
    result = ask("review", database, run, "--approve", f"unit-{untouched[0][0]}")
    assert f"Nobody has worked on unit-{untouched[0][0]} yet." in result.stderr
    several = "SELECT unit_id FROM agents WHERE status IN ('completed', 'approved') GROUP BY 1 HAVING count(*) > 1"
    shared = all_of(database, several)[0][0]
    agents = all_of(database, f"SELECT agent_id, status FROM agents WHERE unit_id = {shared} ORDER BY 1")
    told = " ".join(ask("review", database, run, "--approve", f"unit-{shared}").stderr.split())
    assert f"Several people worked on unit-{shared}; name one of" in told
    assert all(f"agent-{agent} ({status})" in told for agent, status in agents)


def test_a_rejection_needs_a_note_for_its_worker(database: Path) -> None:
    run, (first, *_) = waiting(database)
    for note in ([], ["--note", " "]):
        result = ask("review", database, run, "--reject", f"agent-{first}", *note)
        assert result.exit_code == 2
        assert (
            "--reject needs --note: a rejection needs a note with its reason, which the worker reads" in result.stderr
        )
    assert verdicts(database)[first] == "completed"


def test_who_gives_up_has_recorded_what_was_answered(database: Path) -> None:
    run, (first, second, third, *_) = waiting(database)
    result = ask("review", database, run, "--ask", said="a\nr\ncopied\n")
    assert result.exit_code == 1
    after = verdicts(database)
    assert (after[first], after[second], after[third]) == ("approved", "rejected", "completed")


def test_only_the_selected_work_is_listed_and_approved(database: Path) -> None:
    run, agents = waiting(database)
    worker = all_of(database, f"SELECT worker_id FROM agents WHERE agent_id = {agents[0]}")[0][0]
    newest_first = f"SELECT agent_id FROM units WHERE worker_id = {worker} ORDER BY unit_id DESC"
    theirs = [agent for (agent,) in all_of(database, newest_first) if agent in agents]
    where = ("--where", f"worker=worker-{worker}", "--where", "order=newest")
    listed = json.loads(ask("review", database, run, *where, "--json").stdout)["units"]
    shown = [unit["agent_id"] for unit in listed]
    assert shown == theirs
    assert ask("review", database, run, *where, "--approve-all").exit_code == 0
    assert {agent for agent in agents if verdicts(database)[agent] == "approved"} == set(shown)


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ("worker", "--where 'worker' does not select unreviewed work"),
        ("status=rejected", "--where 'status=rejected' does not select unreviewed work"),
        ("wroker=3", "Did you mean 'worker'?"),
        ("kind=silver", "kind is 'silver'"),
    ],
)
def test_what_selects_nothing_sensible_is_refused(where: str, sentence: str, database: Path) -> None:
    run, _ = waiting(database)
    result = ask("review", database, run, "--where", where, "--approve-all")
    assert result.exit_code == 2
    assert sentence in " ".join(result.stderr.split())


def test_a_verdict_that_is_not_legal_ends_in_a_sentence(database: Path) -> None:
    run, (first, *_) = waiting(database)
    ask("review", database, run, "--approve", f"agent-{first}")
    result = ask("review", database, run, "--reject", f"agent-{first}", "--note", "copied")
    assert result.exit_code == 1
    assert result.stderr == (
        f"mephisto-es review: agent-{first} is already approved: approved work stays approved, because its worker is "
        f"owed the pay; until that is paid, the verdict can be taken back with `mephisto-es review {database} {run} "
        f"--undo agent-{first}`\n"
    )


def test_a_verdict_is_taken_back_and_given_again(database: Path) -> None:
    run, (first, *_) = waiting(database)
    approve = ("review", database, run, "--approve", f"agent-{first}", "--bonus", "0.50")
    undo = ("review", database, run, "--undo", f"agent-{first}", "--note", "the wrong key")
    bonuses = f"SELECT * FROM agent_bonuses WHERE agent_id = {first}"
    granted = all_of(database, bonuses)
    for _ in range(2):
        assert ask(*approve).stdout == f"agent-{first}: approved, bonus 0.50\n"
        assert ask(*undo).stdout == f"agent-{first}: verdict taken back\n"
        assert verdicts(database)[first] == "completed"
    told = ask("timeline", database, f"agent-{first}").stdout
    assert "verdict taken back (by " in told
    assert "user/" not in told + ask("explain", database, f"agent-{first}").stdout
    assert all_of(database, bonuses) == granted
    assert "there is no verdict to take back" in ask(*undo).stderr
    ask("review", database, run, "--soft-reject", f"agent-{first}")
    assert ask("ledger", database, run, "verify").exit_code == 0
    assert replay(database, PROJECTIONS).legal


def test_two_reviewers_look_at_the_same_work(database: Path) -> None:
    run, (first, second, *_) = waiting(database)
    both = [f"agent-{first}", f"agent-{second}"]
    told = ask("review", database, run, "--approve", both[0], "--approve", both[1], "--second-opinion", "--as", "ann")
    assert told.stdout == "".join(f"{one}: opinion recorded, waits for a second reviewer\n" for one in both)
    left = json.loads(ask("review", database, run, "--json").stdout)["units"]
    assert not {first, second} & {unit["agent_id"] for unit in left}
    told = ask("review", database, run, "--approve", both[0], "--reject", both[1], "--note", "copied", "--as", "bob")
    assert told.stdout == (
        f"agent-{first}: approved\nagent-{second}: opinion recorded, reviewers differ, somebody has to adjudicate\n"
    )
    differ = json.loads(ask("review", database, run, "--where", "opinions=differ", "--json").stdout)["units"]
    assert [unit["agent_id"] for unit in differ] == [second]
    assert (
        f"{both[1]}: rejected\n"
        == ask("review", database, run, "--reject", both[1], "--note", "copied", "--adjudicate").stdout
    )
    refused = ask("review", database, run, "--approve", both[0], "--second-opinion", "--adjudicate")
    assert "--second-opinion decides nothing" in refused.stderr
    shown = ask("timeline", database, both[0]).stdout
    assert "  would approve (by ann)" in shown
    assert "  approved (by bob)" in shown
    assert replay(database, PROJECTIONS).legal


def test_an_agent_of_another_run_is_not_meant(database: Path) -> None:
    run, (first, *_) = waiting(database)
    other = all_of(database, f"SELECT min(task_run_id) FROM task_runs WHERE task_run_id != {run}")[0][0]
    result = ask("review", database, str(other), "--approve", f"agent-{first}")
    assert result.exit_code == 2
    assert f"agent-{first} belongs to run-{run}, not to run-{other}; nothing was recorded." in result.stderr
    assert ask("review", database, 9999, "--approve", f"agent-{first}").exit_code == 1
    assert verdicts(database)[first] == "completed"


async def test_a_process_that_has_the_log_open_is_waited_for(database: Path) -> None:
    run, (first, *_) = waiting(database)
    log = SqliteLog.create_or_open(database, PROJECTIONS)
    results: list[Result] = []

    async def review() -> None:
        results.append(await trio.to_thread.run_sync(ask, "review", database, run, "--approve", f"agent-{first}"))

    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(review)
            while not gate_path(database).exists():  # noqa: ASYNC110 - the verb waits in another thread
                await trio.sleep(0.01)
            assert ask("review", database, run).exit_code == 0
            assert verdicts(database)[first] == "completed"
            log.close()
    assert [(one.exit_code, one.stdout) for one in results] == [(0, f"agent-{first}: approved\n")]


@pytest.mark.parametrize("bonus", ["0.505", "much", "-1"])
def test_a_bonus_is_money(bonus: str, database: Path) -> None:
    run, (first, *_) = waiting(database)
    result = ask("review", database, run, "--approve", f"agent-{first}", f"--bonus={bonus}")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"mephisto-es review: --bonus is '{bonus}', which")


def test_a_worker(database: Path) -> None:
    (worker,) = all_of(database, "SELECT max(worker_id) FROM workers WHERE status = 'registered'")[0]
    result = ask("worker", database, f"worker-{worker}", "--grant", "careful=2", "--block", "answers at random")
    assert result.exit_code == 0, result.output
    assert all_of(database, f"SELECT status FROM workers WHERE worker_id = {worker}") == [("blocked",)]
    held = (
        "SELECT value FROM granted_qualifications JOIN qualifications USING (qualification_id)"
        f" WHERE qualification_name = 'careful' AND worker_id = {worker}"
    )
    assert all_of(database, held) == [(2,)]
    assert ask("worker", database, f"worker-{worker}", "--unblock", "a mistake", "--revoke", "careful").exit_code == 0
    assert all_of(database, f"SELECT status FROM workers WHERE worker_id = {worker}") == [("registered",)]
    assert all_of(database, held) == []
    assert "blocked: answers at random" in ask("explain", database, f"worker-{worker}").stdout


def test_a_bonus_of_a_worker_is_owed_and_told(database: Path) -> None:
    run, (agent, *_) = waiting(database)
    worker, unit = all_of(database, f"SELECT worker_id, unit_id FROM agents WHERE agent_id = {agent}")[0]
    give = partial(ask, "worker", database, f"worker-{worker}", "--reason", "found a mistake", "--bonus")
    before = json.loads(ask("ledger", database, run, "--json").stdout)["ledger"]["cents"].get("owed", 0)
    assert give("0.50", "--unit", f"unit-{unit}").exit_code == 0
    assert give("0.25").exit_code == 0
    assert json.loads(ask("ledger", database, run, "--json").stdout)["ledger"]["cents"]["owed"] >= before + 50
    assert ask("ledger", database, run, "verify").exit_code == 0
    assert "granted a bonus of 0.50" in ask("timeline", database, f"agent-{agent}").stdout
    reasons = all_of(database, "SELECT bonus_cents, reason FROM agent_bonuses ORDER BY 1 DESC")
    assert (50, "found a mistake") in reasons


def test_after_a_refusal_a_bonus_is_not_owed(database: Path) -> None:
    allowed = "SELECT worker_id FROM workers JOIN units USING (worker_id) WHERE workers.status = 'registered'"
    (worker,) = all_of(database, allowed)[0]
    bonuses = all_of(database, "SELECT count(*) FROM agent_bonuses")
    bonus = ("--bonus", "0.50", "--reason", "was kind")
    assert ask("worker", database, f"worker-{worker}", *bonus, "--revoke", "nothing").exit_code == 1
    assert all_of(database, "SELECT count(*) FROM agent_bonuses") == bonuses


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "Nothing to do"),
        (["--bonus", "0.50"], "--bonus needs --reason"),
        (["--reason", "was kind"], "Nothing to do"),
        (["--block", "x", "--unit", "unit-1"], "go only with --bonus"),
        (["--bonus", "0", "--reason", "was kind"], "0 cents are no bonus"),
        (["--bonus", "much", "--reason", "was kind"], "--bonus is 'much', which"),
        (["--bonus", "1", "--reason", "was kind", "--unit", "unit-99999"], "has not worked on unit-99999"),
        (["--grant", "careful=very"], "'very' is not a whole number"),
        (["--revoke", "unheard of"], "does not have the qualification 'unheard of'"),
    ],
)
def test_what_cannot_be_decided(options: list[str], said: str, database: Path) -> None:
    (worker,) = all_of(database, "SELECT max(worker_id) FROM agents")[0]
    result = ask("worker", database, f"worker-{worker}", *options)
    assert result.exit_code in (1, 2)
    assert said in result.stderr


@pytest.mark.parametrize("verb", ["review", "worker"])
def test_help_shows_examples(verb: str) -> None:
    assert f"mephisto-es {verb} mephisto_data" in ask(verb, "--help").stdout


def test_what_a_verdict_owes_is_in_the_ledger(database: Path) -> None:
    run, (first, *_) = waiting(database)
    before = json.loads(ask("ledger", database, run, "--json").stdout)["ledger"]["cents"].get("owed", 0)
    ask("review", database, run, "--approve", f"agent-{first}", "--bonus", "0.50")
    (pay,) = all_of(database, f"SELECT pay_cents FROM units WHERE agent_id = {first}")[0]
    ledger = json.loads(ask("ledger", database, run, "--json").stdout)["ledger"]
    assert ledger["cents"]["owed"] == before + int(str(pay)) + 50
    told = ask("ledger", database, run, "verify")
    assert told.exit_code == 0
    assert told.stdout.splitlines()[-1].startswith("every cent of ")
    assert "mephisto-es ledger mephisto_data 1 verify" in ask("ledger", "--help").stdout
    assert ask("ledger", database, 9999).stderr.startswith("mephisto-es ledger: there is no run-9999; the nearest is")
