"""A task whose onboarding is a training, without code."""

from omegaconf import DictConfig

from mephisto_es import Operator, SharedStaticTaskState, task_script


@task_script(default_config_file="trained")
async def main(operator: Operator, cfg: DictConfig) -> None:
    shared_state = SharedStaticTaskState(static_task_data=[{"text": f"Text {number}"} for number in range(4)])
    await operator.launch_task_run_or_die(cfg.mephisto, shared_state)
    await operator.wait_for_runs_then_shutdown()


if __name__ == "__main__":
    main()
