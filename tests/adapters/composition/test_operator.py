"""An operator, and the database, for a configuration that a script has composed itself."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from omegaconf import DictConfig, OmegaConf

from mephisto_es.adapters.architects.memory.architect import MemoryArchitect
from mephisto_es.adapters.composition.operator import load_db_and_process_config, process_config_and_get_operator
from mephisto_es.adapters.sealing.keys import read_key
from mephisto_es.adapters.sealing.receipts import LogReceipts
from mephisto_es.adapters.sealing.seal_files import PublicKeys
from mephisto_es.adapters.sealing.seals import check_receipt, check_seal
from mephisto_es.core.errors import ConfigError, UnusableLogError
from mephisto_es.core.operations.hydra_config import TaskConfig
from mephisto_es.events.ids import AgentId, TaskRunId
from mephisto_es.projections.sealing.receipt import ProvedReceipt

from ...core.operations.operator_harness import HarnessTaskState, ask, config, items, work


def composed(folder: Path) -> DictConfig:
    """Return a whole configuration, as Hydra passes it to a script."""
    cfg: DictConfig = OmegaConf.structured(TaskConfig)
    cfg.mephisto = config()
    cfg.mephisto.database.data_dir = str(folder)
    return cfg


async def test_a_script_that_composes_for_itself_launches_and_reads(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with process_config_and_get_operator(composed(tmp_path)) as (operator, cfg):
            run = await operator.launch_task_run_or_die(cfg.mephisto, HarnessTaskState(data=items(2)))
            live_run = operator.get_running_task_runs()[run]
            router = MemoryArchitect.routers[live_run.task_run]
            async with trio.open_nursery() as nursery:
                nursery.start_soon(work, router, "ann", 3, 0.01)
                await operator.wait_for_runs_then_shutdown()
                nursery.cancel_scope.cancel()
    db, _ = load_db_and_process_config(cfg)
    with db:
        found = db.get_task_run(run)
        assert found.get_is_completed()
        assert found.get_assignment_statuses()["completed"] == 2
        agents = [unit.get_assigned_agent() for unit in found.get_units()]
        assert [agent.state.get_data() for agent in agents if agent is not None] == [
            {"inputs": {"number": 0, "seat": 0}, "outputs": {"answer": 0}},
            {"inputs": {"number": 1, "seat": 0}, "outputs": {"answer": 1}},
        ]
        assert [agent.get_worker().worker_name for agent in agents if agent is not None] == ["ann", "ann"]


async def test_a_log_with_receipts_is_sealed_when_its_run_ends(tmp_path: Path) -> None:
    with trio.fail_after(120):
        async with process_config_and_get_operator(composed(tmp_path)) as (operator, cfg):
            run = await operator.launch_task_run_or_die(cfg.mephisto, HarnessTaskState(data=items(1)))
            live_run = operator.get_running_task_runs()[run]
            router = MemoryArchitect.routers[live_run.task_run]
            details = await ask(router, "ann")
            assert details["offers_receipts"] is True
            router.submit_task(details["agent_id"], {"answer": 0})
            promised = await router.request_receipt(details["worker_page"], details["agent_id"])
            await operator.wait_for_runs_then_shutdown()
    assert isinstance(promised, dict)
    assert promised["proved"] == 0
    key = PublicKeys(read_key(tmp_path / "seal.key").verifier.text)
    assert isinstance(check_receipt(tmp_path / "mephisto.db", promised["text"], key), ProvedReceipt)
    check_seal(tmp_path / "mephisto.db", (tmp_path / f"run-{run}.seal").read_text(), key)
    proved = LogReceipts(tmp_path / "mephisto.db").proof(TaskRunId(int(run)), AgentId(1))
    assert proved is not None
    assert proved.proved == proved.events >= promised["events"]


async def test_a_wrong_configuration_opens_nothing(tmp_path: Path) -> None:
    cfg = composed(tmp_path / "data")
    cfg.mephisto.task.task_reward = "a dime"
    with pytest.raises(ConfigError, match="task_reward is 'a dime'"):
        async with process_config_and_get_operator(cfg):
            pass
    assert not (tmp_path / "data").exists()


def test_where_nothing_was_launched_there_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(UnusableLogError, match=r"there is no database at .*mephisto\.db"):
        load_db_and_process_config(composed(tmp_path))
