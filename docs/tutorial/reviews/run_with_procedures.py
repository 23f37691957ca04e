"""The same question, with help: the page asks the server how many words of a review are on a list."""

from omegaconf import DictConfig

from mephisto_es import Operator, RemoteProcedureAgentState, SharedRemoteProcedureTaskState, task_script

KIND = {"fast", "again", "keeps"}
HARSH = {"quiet", "nobody", "broke"}


def weigh(request_id: str, args: dict[str, str], agent_state: RemoteProcedureAgentState) -> dict[str, int]:
    """Count kind and harsh words."""
    words = {word.strip(".,").lower() for word in args["text"].split()}
    return {"kind": len(words & KIND), "harsh": len(words & HARSH)}


@task_script(default_config_file="reviews_with_procedures")
async def main(operator: Operator, cfg: DictConfig) -> None:
    """Say of a product review whether it is positive, with a hint."""
    shared_state = SharedRemoteProcedureTaskState(function_registry={"weigh": weigh})
    run = await operator.launch_task_run_or_die(cfg.mephisto, shared_state)
    print(f"Open {operator.get_running_task_runs()[run].worker_url}", flush=True)
    await operator.wait_for_runs_then_shutdown()


if __name__ == "__main__":
    main()
