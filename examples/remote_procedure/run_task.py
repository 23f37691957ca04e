"""Have people rewrite long sentences in fewer words. The page calls Python to check the text.

python run_task.py
python run_task.py mephisto.blueprint.data_csv=my_passages.csv
"""

from omegaconf import DictConfig

from mephisto_es import Operator, RemoteProcedureAgentState, SharedRemoteProcedureTaskState, task_script


def check(_request_id: str, args: dict[str, str], agent_state: RemoteProcedureAgentState) -> dict[str, object]:
    """Compare a rewritten passage with the original."""
    passage, text = agent_state.init_data["passage"], args["text"]
    words, most = len(text.split()), len(passage.split()) // 2
    longest = max(text.split(), key=len, default="")
    return {"words": words, "most": most, "longest": longest, "good": 0 < words <= most}


@task_script(default_config_file="remote_procedure")
async def main(operator: Operator, cfg: DictConfig) -> None:
    """Rewrite passages in fewer words."""
    shared_state = SharedRemoteProcedureTaskState(function_registry={"check": check})
    run = await operator.launch_task_run_or_die(cfg.mephisto, shared_state)
    print(f"Open {operator.get_running_task_runs()[run].worker_url}", flush=True)  # noqa: T201 - for the user
    await operator.wait_for_runs_then_shutdown(skip_input=True, log_rate=30)


if __name__ == "__main__":
    main()
