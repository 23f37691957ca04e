"""Have people chat in pairs about a topic, with a fixed number of messages each.

python run_task.py
python run_task.py mephisto.blueprint.messages_per_worker=10 mephisto.blueprint.max_repeats=0
"""

from omegaconf import DictConfig

from mephisto_es import Operator, task_script


@task_script(default_config_file="paired_chat")
async def main(operator: Operator, cfg: DictConfig) -> None:
    """Chat in pairs."""
    run = await operator.launch_task_run_or_die(cfg.mephisto)
    print(f"Open {operator.get_running_task_runs()[run].worker_url}", flush=True)  # noqa: T201 - for the user
    await operator.wait_for_runs_then_shutdown(skip_input=True, log_rate=30)


if __name__ == "__main__":
    main()
