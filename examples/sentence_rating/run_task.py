"""Have people rate how natural sentences sound: one sentence per unit, a rating from 1 to 5, and an optional comment.

python run_task.py
python run_task.py mephisto.task.task_reward=0.10 mephisto.blueprint.units_per_assignment=2
"""

from omegaconf import DictConfig

from mephisto_es import Operator, task_script


@task_script(default_config_file="sentence_rating")
async def main(operator: Operator, cfg: DictConfig) -> None:
    """Rate how natural sentences sound."""
    run = await operator.launch_task_run_or_die(cfg.mephisto)
    print(f"Open {operator.get_running_task_runs()[run].worker_url}", flush=True)  # noqa: T201 - for the user
    await operator.wait_for_runs_then_shutdown(skip_input=True, log_rate=30)


if __name__ == "__main__":
    main()
