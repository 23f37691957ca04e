"""Ask people whether a product review is positive."""

from omegaconf import DictConfig

from mephisto_es import Operator, task_script


@task_script(default_config_file="reviews")
async def main(operator: Operator, cfg: DictConfig) -> None:
    """Say of a product review whether it is positive."""
    run = await operator.launch_task_run_or_die(cfg.mephisto)
    print(f"Open {operator.get_running_task_runs()[run].worker_url}", flush=True)
    await operator.wait_for_runs_then_shutdown()


if __name__ == "__main__":
    main()
