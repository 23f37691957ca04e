"""Limits of live updates: of one agent's page, and of all pages of the run."""

import pytest
from msgspec.structs import replace

from mephisto_es.core.commands.agent import RecordLiveUpdate, RecordOnboardingUpdate, UpdateLimits
from mephisto_es.core.errors import TooManyUpdatesError
from mephisto_es.events import ids
from mephisto_es.events.base import PayloadRef

from .conftest import RUN, SmallRun

ENOUGH = UpdateLimits(agent_updates=2, agent_bytes=20, run_updates=3, run_bytes=30)


def update(agent: int, update_id: str, size: int, limits: UpdateLimits | None) -> RecordLiveUpdate:
    ref = PayloadRef("0" * 64, size)
    return RecordLiveUpdate(task_run=RUN, agent=ids.AgentId(agent), update_id=update_id, update=ref, limits=limits)


@pytest.fixture
def busy(run: SmallRun) -> SmallRun:
    """Two workers at work."""
    for number in (1, 2):
        run.offer(number)
        run.assign(number, number)
    return run


@pytest.mark.parametrize(
    "tight",
    [
        replace(ENOUGH, agent_updates=1),
        replace(ENOUGH, agent_bytes=19),
        replace(ENOUGH, run_updates=1),
        replace(ENOUGH, run_bytes=19),
    ],
)
def test_an_update_beyond_a_limit_is_refused_and_one_that_reaches_it_is_not(
    busy: SmallRun, tight: UpdateLimits
) -> None:
    assert busy.execute(update(1, "a", 10, tight))
    with pytest.raises(TooManyUpdatesError, match="the limit of live updates is reached"):
        busy.execute(update(1, "b", 10, tight))
    # One that is recorded already is no new one.
    assert busy.execute(update(1, "a", 10, tight)) == []
    assert busy.execute(update(1, "b", 10, ENOUGH))


def test_the_limits_of_a_run_count_all_its_agents(busy: SmallRun) -> None:
    for agent, update_id in ((1, "a"), (1, "b"), (2, "c")):
        assert busy.execute(update(agent, update_id, 10, ENOUGH))
    with pytest.raises(TooManyUpdatesError):
        busy.execute(update(2, "d", 1, replace(ENOUGH, run_bytes=31)))
    with pytest.raises(TooManyUpdatesError):
        busy.execute(update(2, "d", 1, replace(ENOUGH, run_updates=4)))
    assert busy.execute(update(2, "d", 1, None))


def test_onboardings_are_limited_too(run: SmallRun) -> None:
    run.start_onboarding(1, 1)

    def send(update_id: str, limits: UpdateLimits) -> None:
        ref, agent = PayloadRef("0" * 64, 10), ids.OnboardingAgentId(1)
        run.execute(RecordOnboardingUpdate(task_run=RUN, agent=agent, update_id=update_id, update=ref, limits=limits))

    send("a", ENOUGH)
    send("b", ENOUGH)
    for limits in (ENOUGH, replace(ENOUGH, agent_updates=9, run_bytes=29)):
        with pytest.raises(TooManyUpdatesError):
            send("c", limits)
