"""The same question: long reviews are for people who have done two others, and clear answers are approved."""

from omegaconf import DictConfig

from mephisto_es import Operator, SharedStaticTaskState, Unit, Worker, task_script

#: Reviews with more characters are for workers with some practice.
LONG = 65


def worker_can_do_unit(worker: Worker, unit: Unit) -> bool:
    """Give long reviews to workers who have done two others."""
    done = [agent for agent in worker.get_agents() if agent.state.outputs is not None]
    return len(unit.data["text"]) <= LONG or len(done) >= 2


def on_unit_submitted(unit: Unit) -> None:
    """Approve clear answers at once; the others wait for a reviewer."""
    agent = unit.get_assigned_agent()
    if agent is not None and agent.state.outputs["verdict"] != "hard to say":
        agent.approve_work()


@task_script(default_config_file="reviews")
async def main(operator: Operator, cfg: DictConfig) -> None:
    """Say of a product review whether it is positive."""
    shared_state = SharedStaticTaskState(worker_can_do_unit=worker_can_do_unit, on_unit_submitted=on_unit_submitted)
    run = await operator.launch_task_run_or_die(cfg.mephisto, shared_state)
    print(f"Open {operator.get_running_task_runs()[run].worker_url}", flush=True)
    await operator.wait_for_runs_then_shutdown()


if __name__ == "__main__":
    main()
