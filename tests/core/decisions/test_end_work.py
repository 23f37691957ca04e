"""How work ends: submitted, returned, taken away."""

from __future__ import annotations

import pytest

from mephisto_es.core.commands.agent import (
    AgentDeparture,
    EndAgent,
    EndOnboarding,
    RecordFile,
    RecordLiveUpdate,
    RecordModelQuestion,
    RecordModelReply,
    RecordObservation,
    RecordOnboardingObservation,
    RecordOnboardingUpdate,
    ReleaseWork,
    ReturnUnit,
    SubmitMetadata,
    SubmitUnit,
)
from mephisto_es.core.commands.directory import EraseWorker
from mephisto_es.core.commands.task_run import StopRun
from mephisto_es.core.errors import CommandRefusedError, IllegalStepError
from mephisto_es.core.lifecycles.agent import AgentStatus
from mephisto_es.core.lifecycles.unit import UnitStatus
from mephisto_es.events import ids, streams
from mephisto_es.events.agent import (
    AgentCompletedAlone,
    AgentExpired,
    AgentFileLost,
    AgentFileStored,
    AgentMetadataReceived,
    AgentModelAsked,
    AgentModelReplied,
    AgentObserved,
    AgentPartnerLeft,
    AgentReturned,
    AgentStarted,
    AgentSubmitted,
    AgentSubmittedAgain,
    AgentTimedOut,
    AgentUpdateReceived,
    FileLoss,
)
from mephisto_es.events.base import Event, FileRef
from mephisto_es.events.engagement import AllWorkEnded, WorkEnded
from mephisto_es.events.onboarding import OnboardingObserved, OnboardingTimedOut, OnboardingUpdateReceived
from mephisto_es.events.unit import UnitCompleted, UnitExpired, UnitReleased
from mephisto_es.events.worker import WorkerErased

from .conftest import DATA, RUN, SmallRun, only

AGENT = ids.AgentId(1)
ONBOARDING = ids.OnboardingAgentId(1)
GONE = AgentTimedOut(reason="gone")


def unit_status(run: SmallRun, unit: int) -> UnitStatus:
    return run.state.units[streams.unit(RUN, ids.UnitId(unit))].status


def agent_status(run: SmallRun, agent: int) -> AgentStatus:
    return run.state.agents[streams.agent(RUN, ids.AgentId(agent))].status


def test_the_first_submission_completes_and_a_later_one_is_recorded(run: SmallRun) -> None:
    run.offer(1)
    run.assign(1, agent=1)
    assert [type(event) for event in run.submit(1)] == [AgentSubmitted, UnitCompleted, AllWorkEnded]
    assert [type(event) for event in run.submit(1)] == [AgentSubmittedAgain]


def test_work_ends_for_good_with_the_last_unit(run: SmallRun) -> None:
    run.offer(1)
    run.offer(2)
    run.assign(1, agent=1)
    run.assign(1, agent=2)
    assert type(run.submit(1)[-1]) is WorkEnded
    assert type(run.submit(2)[-1]) is AllWorkEnded


def test_an_agent_that_waits_cannot_submit(run: SmallRun) -> None:
    run.offer(1, units=2)
    run.assign(1, agent=1, concurrent=True)
    with pytest.raises(IllegalStepError, match="agent-1 is 'waiting'"):
        run.submit(1)


def test_a_returned_unit_is_offered_again(run: SmallRun) -> None:
    run.offer(1)
    run.assign(1, agent=1)
    events = run.execute(ReturnUnit(task_run=RUN, agent=AGENT, concurrent=False))
    assert only(events, AgentReturned).reason == only(events, UnitReleased).reason
    assert unit_status(run, 10) is UnitStatus.LAUNCHED
    with pytest.raises(IllegalStepError):
        run.execute(ReturnUnit(task_run=RUN, agent=AGENT, concurrent=False))


def test_an_agent_is_ended_once(run: SmallRun) -> None:
    run.offer(1)
    run.assign(1, agent=1)
    command = EndAgent(task_run=RUN, agent=AGENT, departure=GONE, concurrent=False)
    assert only(run.execute(command), AgentTimedOut) == GONE
    assert run.execute(command) == []


@pytest.mark.parametrize("how", ["taken away", "run stops"])
def test_a_unit_expires_that_is_not_to_be_offered_again(run: SmallRun, how: str) -> None:
    run.offer(1)
    run.assign(1, agent=1)
    if how == "run stops":
        run.execute(StopRun(task_run=RUN, reason="enough"))
    departure = AgentExpired(reason="over") if how == "taken away" else GONE
    events = run.execute(EndAgent(task_run=RUN, agent=AGENT, departure=departure, concurrent=False))
    assert only(events, UnitExpired).reason == departure.reason


def test_a_group_that_waits_goes_on_waiting_for_another(run: SmallRun) -> None:
    run.offer(1, units=2)
    run.assign(1, agent=1, concurrent=True)
    run.execute(EndAgent(task_run=RUN, agent=AGENT, departure=GONE, concurrent=True))
    assert unit_status(run, 10) is UnitStatus.LAUNCHED


def release(run: SmallRun, *agents: int, concurrent: bool) -> list[Event]:
    return run.execute(
        ReleaseWork(
            task_run=RUN,
            agents=tuple(ids.AgentId(agent) for agent in agents),
            reason="the code failed",
            concurrent=concurrent,
        )
    )


def test_work_whose_code_failed_is_offered_again_also_to_its_worker(run: SmallRun) -> None:
    run.offer(1)
    run.assign(1, agent=1)
    expired, released, ended = release(run, 1, concurrent=False)
    assert expired == AgentExpired(reason="the code failed", may_retry=True)
    assert released == UnitReleased(agent=AGENT, reason="the code failed")
    assert ended == AllWorkEnded(agent=AGENT, outcome="expired", may_retry=ids.AssignmentId(1))
    assert release(run, 1, concurrent=False) == []
    assert [type(event) for event in run.assign(1, agent=2)][-1] is AgentStarted


def test_a_whole_group_whose_code_failed_is_offered_again(run: SmallRun) -> None:
    run.offer(1, units=2)
    run.assign(1, agent=1, concurrent=True)
    run.assign(2, agent=2, concurrent=True)
    events = release(run, 1, 2, concurrent=True)
    assert [type(event) for event in events] == [AgentExpired, UnitReleased, AllWorkEnded] * 2
    assert unit_status(run, 10) is unit_status(run, 11) is UnitStatus.LAUNCHED


def test_a_part_of_a_group_whose_code_failed_is_not_offered_again(run: SmallRun) -> None:
    run.offer(1, units=2)
    run.assign(1, agent=1, concurrent=True)
    run.assign(2, agent=2, concurrent=True)
    events = release(run, 1, concurrent=True)
    assert [type(event) for event in events] == [AgentExpired, UnitExpired, AllWorkEnded, AgentPartnerLeft]


def test_partners_of_a_group_that_waits_are_not_told(run: SmallRun) -> None:
    run.offer(1, units=3)
    run.assign(1, agent=1, concurrent=True)
    run.assign(2, agent=2, concurrent=True)
    events = run.execute(EndAgent(task_run=RUN, agent=AGENT, departure=GONE, concurrent=True))
    assert [type(event) for event in events] == [AgentTimedOut, UnitReleased, AllWorkEnded]
    assert agent_status(run, 2) is AgentStatus.WAITING


def test_those_who_work_apart_on_an_assignment_are_no_partners(run: SmallRun) -> None:
    run.offer(1, units=2)
    run.assign(1, agent=1)
    run.assign(2, agent=2)
    events = run.execute(EndAgent(task_run=RUN, agent=AGENT, departure=GONE, concurrent=False))
    assert [type(event) for event in events] == [AgentTimedOut, UnitReleased, AllWorkEnded]
    assert agent_status(run, 2) is AgentStatus.IN_TASK


def test_partners_of_a_group_that_has_started_are_told_and_may_submit(run: SmallRun) -> None:
    run.offer(1, units=2)
    run.assign(1, agent=1, concurrent=True)
    run.assign(2, agent=2, concurrent=True)
    events = run.execute(EndAgent(task_run=RUN, agent=AGENT, departure=GONE, concurrent=True))
    assert only(events, AgentPartnerLeft).partner == AGENT
    assert unit_status(run, 10) is UnitStatus.EXPIRED
    assert agent_status(run, 2) is AgentStatus.PARTNER_DISCONNECT
    assert only(run.submit(2), AllWorkEnded).outcome == "partner disconnect"
    assert unit_status(run, 11) is UnitStatus.COMPLETED


@pytest.mark.parametrize("departure", [GONE, AgentReturned(reason="bored"), AgentExpired(reason="over")])
def test_the_unit_of_an_agent_whose_partner_left_counts_however_it_ends(
    run: SmallRun, departure: AgentDeparture
) -> None:
    run.offer(1, units=2)
    run.assign(1, agent=1, concurrent=True)
    run.assign(2, agent=2, concurrent=True)
    run.execute(EndAgent(task_run=RUN, agent=AGENT, departure=GONE, concurrent=True))
    events = run.execute(EndAgent(task_run=RUN, agent=ids.AgentId(2), departure=departure, concurrent=True))
    assert [type(event) for event in events] == [AgentCompletedAlone, UnitCompleted, AllWorkEnded]
    assert only(events, AgentCompletedAlone).reason == departure.reason
    engagement = run.state.engagements[streams.engagement(RUN, ids.WorkerId(2))]
    assert engagement.counted == 0
    run.submit(2)
    agent = run.state.agents[streams.agent(RUN, ids.AgentId(2))]
    assert (agent.status, agent.submission, agent.was_left) == (AgentStatus.COMPLETED, DATA, True)


def test_an_onboarding_is_ended_once(run: SmallRun) -> None:
    run.start_onboarding(1, agent=1)
    late = OnboardingTimedOut(reason="late")
    command = EndOnboarding(task_run=RUN, agent=ONBOARDING, departure=late)
    assert run.execute(command) == [late]
    assert run.execute(command) == []


def test_live_updates_are_numbered_and_known_by_their_ids(run: SmallRun) -> None:
    run.offer(1)
    run.assign(1, agent=1)
    for number, update_id in enumerate(("a", "b", "", ""), 1):
        command = RecordLiveUpdate(task_run=RUN, agent=AGENT, update_id=update_id, update=DATA)
        assert only(run.execute(command), AgentUpdateReceived).number == number
    assert run.execute(RecordLiveUpdate(task_run=RUN, agent=AGENT, update_id="a", update=DATA)) == []


def test_live_updates_of_onboardings_are_numbered_and_known_by_their_ids(run: SmallRun) -> None:
    run.start_onboarding(1, agent=1)
    for number, update_id in enumerate(("a", "b"), 1):
        command = RecordOnboardingUpdate(task_run=RUN, agent=ONBOARDING, update_id=update_id, update=DATA)
        assert only(run.execute(command), OnboardingUpdateReceived).number == number
    assert run.execute(RecordOnboardingUpdate(task_run=RUN, agent=ONBOARDING, update_id="a", update=DATA)) == []


def test_what_is_sent_to_pages_and_what_they_add_is_recorded(run: SmallRun) -> None:
    run.offer(1)
    run.assign(1, agent=1)
    run.start_onboarding(2, agent=1)
    sent = RecordObservation(task_run=RUN, agent=AGENT, number=1, update_id="x", update=DATA)
    assert run.execute(sent) == [AgentObserved(number=1, update_id="x", update=DATA)]
    sent_too = RecordOnboardingObservation(task_run=RUN, agent=ONBOARDING, number=1, update_id="x", update=DATA)
    assert run.execute(sent_too) == [OnboardingObserved(number=1, update_id="x", update=DATA)]
    tips = SubmitMetadata(task_run=RUN, agent=AGENT, metadata=DATA)
    assert run.execute(tips) == [AgentMetadataReceived(metadata=DATA)]


def test_a_file_is_awaited_until_its_outcome_is_recorded(run: SmallRun) -> None:
    run.offer(1)
    run.assign(1, agent=1)
    files = tuple(FileRef(filename=name, size=1, sha256="0" * 64) for name in ("a", "b", "c", "d"))
    run.execute(SubmitMetadata(task_run=RUN, agent=AGENT, metadata=DATA, files=files[:1], file_details=DATA))
    run.execute(SubmitUnit(task_run=RUN, agent=AGENT, submission=DATA, files=files[1:3]))
    run.execute(SubmitUnit(task_run=RUN, agent=AGENT, submission=DATA, files=files[3:]))
    stream, index = streams.agent(RUN, AGENT), run.state.runs[RUN]
    assert run.state.agents[stream].awaited_files == files
    assert index.awaiting_files == {AGENT}
    stored, lost = AgentFileStored(filename="b"), AgentFileLost(filename="c", reason=FileLoss.GONE)
    for event in (stored, lost):
        assert run.execute(RecordFile(task_run=RUN, agent=AGENT, event=event)) == [event]
        assert run.execute(RecordFile(task_run=RUN, agent=AGENT, event=event)) == []
    assert [file.filename for file in run.state.agents[stream].awaited_files] == ["a", "d"]
    for name in ("a", "d"):
        run.execute(RecordFile(task_run=RUN, agent=AGENT, event=AgentFileStored(filename=name)))
    assert index.awaiting_files == set()


def test_files_of_late_work_are_awaited(run: SmallRun) -> None:
    run.offer(1)
    run.assign(1, agent=1)
    run.execute(EndAgent(task_run=RUN, agent=AGENT, departure=GONE, concurrent=False))
    file = FileRef(filename="a", size=1, sha256="0" * 64)
    run.execute(SubmitUnit(task_run=RUN, agent=AGENT, submission=DATA, files=(file,)))
    assert run.state.agents[streams.agent(RUN, AGENT)].awaited_files == (file,)


def test_a_worker_is_not_erased_while_a_run_would_fetch_its_files(run: SmallRun) -> None:
    run.offer(1)
    run.assign(1, agent=1)
    file = FileRef(filename="a", size=1, sha256="0" * 64)
    run.execute(SubmitUnit(task_run=RUN, agent=AGENT, submission=DATA, files=(file,)))
    worker = run.state.agents[streams.agent(RUN, AGENT)].worker
    erase = EraseWorker(worker=worker, reason="asked for it")
    with pytest.raises(CommandRefusedError, match="still at the server of a run"):
        run.execute(erase)
    run.execute(RecordFile(task_run=RUN, agent=AGENT, event=AgentFileStored(filename="a")))
    assert run.execute(erase) == [WorkerErased(reason="asked for it")]


def model_reply(number: int, cost_micros: int) -> RecordModelReply:
    return RecordModelReply(
        task_run=RUN,
        agent=AGENT,
        number=number,
        model="m",
        reply=DATA,
        input_tokens=3,
        output_tokens=4,
        cost_micros=cost_micros,
        latency_ms=5,
    )


def test_questions_to_models_count_against_the_budget_in_whole_cents(run: SmallRun) -> None:
    run.offer(1)
    run.assign(1, agent=1)
    budget = run.state.runs[RUN].budget
    budget.limit_cents = budget.committed_cents + budget.reserved_cents + 2
    question = RecordModelQuestion(task_run=RUN, agent=AGENT, number=1, model="m", request=DATA, limit_cents=2)
    assert only(run.execute(question), AgentModelAsked).limit_cents == 2
    assert run.state.agents[streams.agent(RUN, AGENT)].model_questions == 1
    # Whole cents of all replies together, rounded up: 0.6, 1.2 and 1.2 cents.
    replies = [
        only(run.execute(model_reply(number, micros)), AgentModelReplied)
        for number, micros in enumerate((6_000, 6_000, 0), start=1)
    ]
    assert [reply.cost_cents for reply in replies] == [1, 1, 0]
    assert [reply.cost_micros for reply in replies] == [6_000, 6_000, 0]
    assert [reply.number for reply in replies] == [1, 2, 3]
    assert {(reply.model, reply.input_tokens, reply.output_tokens, reply.latency_ms) for reply in replies} == {
        ("m", 3, 4, 5)
    }
    assert budget.left_cents == 0
    with pytest.raises(CommandRefusedError, match=r"a reply of m may cost 1 cents, .* has 0 left"):
        run.execute(RecordModelQuestion(task_run=RUN, agent=AGENT, number=4, model="m", request=DATA, limit_cents=1))
