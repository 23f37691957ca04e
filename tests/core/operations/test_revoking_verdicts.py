"""Workers whom a faulty function has refused come back once its verdicts are revoked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio.testing

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.log.memory import MemoryLog
from mephisto_es.core.abstractions.agent import Unit, Update
from mephisto_es.core.errors import CommandRefusedError, UnknownEntityError
from mephisto_es.core.operations.services.verdict_revoker import VerdictRevoker
from mephisto_es.events import streams
from mephisto_es.events.engagement import VerdictsRevoked
from mephisto_es.events.ids import TaskRunId, WorkerId

from .operator_harness import HarnessTaskState, OperatorHarness, ask, items, open_harness, until

RUN = TaskRunId(1)
SCREENED: dict[str, object] = {
    "use_screening_task": True,
    "passed_qualification_name": "can-do-it",
    "block_qualification": "cannot-do-it",
    "max_screening_units": 5,
}


class Repaired:
    """A function that refuses everybody until it is repaired."""

    is_repaired = False

    def __call__(self, _: object) -> bool:
        return self.is_repaired


async def questions() -> AsyncIterator[Update]:
    for number in range(3):
        yield {"question": number}


@pytest.fixture(autouse=True)
def no_routers() -> None:
    MemoryArchitect.routers.clear()


async def revoke(harness: OperatorHarness, function: str, run: TaskRunId = RUN) -> int:
    """Revoke the verdicts of a function; return the number of workers."""
    operator = harness.operator
    revoker = VerdictRevoker(operator.ledger, operator._ids, "reviewer")
    return len(await revoker.revoke(run, function, "it was at fault"))


async def test_an_onboarding_that_nobody_could_pass_is_done_again(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    validate = Repaired()

    async def validates(data: Update) -> bool:
        await trio.lowlevel.checkpoint()
        return validate(data)

    async with open_harness(tmp_path, MemoryLog(), "knows") as harness:
        await harness.launch(HarnessTaskState(data=items(5), validate_onboarding=validates))
        router = MemoryArchitect.routers[RUN]
        for worker in ("ann", "bob"):
            details = await ask(router, worker)
            refused = await router.submit_onboarding(details["agent_id"], {})
            assert refused["agent_id"] is None
        validate.is_repaired = True
        assert (await ask(router, "ann", 1))["agent_id"] is None, "the verdict stands"
        assert await revoke(harness, "validate_onboarding") == 2
        for visit in (0, 2):
            details = await ask(router, "ann", visit)
            assert details["agent_id"] is not None, "also on the page of the failed onboarding"
        passed = await router.submit_onboarding(details["agent_id"], {})
        assert passed["agent_id"] is not None
        assert await revoke(harness, "validate_onboarding") == 0
        await harness.operator.force_shutdown()


async def test_a_screening_that_nobody_could_pass_is_judged_again(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    judge = Repaired()

    async def judges(unit: Unit) -> bool:
        await trio.lowlevel.checkpoint()
        return judge(unit)

    async with open_harness(tmp_path, MemoryLog(), None, SCREENED) as harness:
        shared = HarnessTaskState(data=items(5), screening_data_factory=questions(), on_unit_submitted=judges)
        await harness.launch(shared)
        router, state = MemoryArchitect.routers[RUN], harness.operator.ledger.state
        details = await ask(router, "ann")
        router.submit_task(details["agent_id"], {})
        await until(harness, lambda: state.engagements[streams.engagement(RUN, WorkerId(1))].excluded is not None)
        judge.is_repaired = True
        assert await revoke(harness, "on_unit_submitted") == 1
        await harness.operator.retry(RUN)
        passed = state.qualifications_by_name["can-do-it"]
        await until(harness, lambda: state.workers[streams.worker(WorkerId(1))].qualifications == {passed: 1})
        assert (await ask(router, "ann", 1))["agent_id"] is not None
        revoked = [one for one in harness.log.read() if isinstance(one.envelope.event, VerdictsRevoked)]
        assert [one.envelope.actor for one in revoked] == ["reviewer"]
        await harness.operator.force_shutdown()


async def test_what_gives_no_verdicts_is_refused(tmp_path: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with open_harness(tmp_path) as harness:
        await harness.launch(HarnessTaskState(data=items(1)))
        with pytest.raises(CommandRefusedError, match="gives no verdicts on workers"):
            await revoke(harness, "validate_onbording")
        with pytest.raises(UnknownEntityError):
            await revoke(harness, "validate_onboarding", TaskRunId(7))
        await harness.operator.force_shutdown()
