"""A task with planted faults: a callback that raises for some workers, a page that stays blank, a field never sent."""

from omegaconf import DictConfig

from mephisto_es import Operator, SharedStaticTaskState, Unit, Worker, task_script


def worker_can_do_unit(worker: Worker, unit: Unit) -> bool:
    if worker.worker_id % 10 == 3:
        raise KeyError(unit.data["text"])
    return True


@task_script(default_config_file="planted_faults")
async def main(operator: Operator, cfg: DictConfig) -> None:
    shared_state = SharedStaticTaskState(
        static_task_data=[{"text": f"Text {number}"} for number in range(5)], worker_can_do_unit=worker_can_do_unit
    )
    await operator.launch_task_run_or_die(cfg.mephisto, shared_state)
    await operator.wait_for_runs_then_shutdown()


if __name__ == "__main__":
    main()
