from __future__ import annotations

from typing import cast

from omegaconf import DictConfig, OmegaConf

from mephisto_es.adapters.providers.mock import MockProvider
from mephisto_es.core.abstractions.blueprint import SharedTaskState
from mephisto_es.core.abstractions.resources import Resources
from mephisto_es.core.operations.hydra_config import MephistoConfig


def provider(requester: str | None = None) -> MockProvider:
    config: DictConfig = OmegaConf.structured(MephistoConfig)
    config.provider = OmegaConf.structured(MockProvider.ArgsClass(_provider_type="mock", requester_name=requester))
    MockProvider.assert_task_args(config, SharedTaskState())
    return MockProvider(config, SharedTaskState(), cast(Resources, None))


def test_the_address_names_a_worker() -> None:
    assert provider().worker_url("http://localhost:3000") == "http://localhost:3000/?worker_id=x&assignment_id=1"


def test_the_script_defines_the_four_globals() -> None:
    script = provider().get_wrapper_js_path().read_text()
    for name in ("getWorkerName", "getAssignmentId", "getAgentRegistration", "handleSubmitToProvider"):
        assert f"function {name}(" in script


def test_the_requester_may_be_named() -> None:
    assert provider().requester_name == "mock_requester"
    assert provider("me").requester_name == "me"
    assert provider().is_sandbox()
