from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from omegaconf import DictConfig, OmegaConf

from mephisto_es.adapters.providers.mock import MockProvider
from mephisto_es.adapters.providers.payment_book import BOOK_FILE, PaymentBook
from mephisto_es.core.abstractions.blueprint import SharedTaskState
from mephisto_es.core.abstractions.crowd.payments import PaymentOrder, PaymentProvider, PaymentRefusedError
from mephisto_es.core.abstractions.resources import Resources
from mephisto_es.core.operations.hydra_config import MephistoConfig
from mephisto_es.events.ids import AgentId, PaymentId, TaskRunId, UnitId, WorkerId


def provider(requester: str | None = None, data_dir: Path | None = None) -> MockProvider:
    config: DictConfig = OmegaConf.structured(MephistoConfig)
    config.provider = OmegaConf.structured(MockProvider.ArgsClass(_provider_type="mock", requester_name=requester))
    config.database.data_dir = data_dir and str(data_dir)
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


ORDER = PaymentOrder(
    "token",
    WorkerId(3),
    "Zoë",
    25,
    "pay",
    task_run=TaskRunId(1),
    payment=PaymentId(7),
    agent=AgentId(5),
    unit=UnitId(4),
)


async def test_a_payment_is_made_once_whichever_process_asks(tmp_path: Path) -> None:
    paying, later = provider(data_dir=tmp_path), provider(data_dir=tmp_path)
    assert isinstance(paying, PaymentProvider)
    reference = await paying.pay(ORDER)
    assert await later.pay(ORDER) == reference
    assert await later.pay(ORDER._replace(worker_name=None)) == reference
    other = await later.pay(ORDER._replace(token="other"))
    assert other != reference
    assert await later.has_arrived(reference)
    assert not await later.has_arrived("payment 99")
    assert PaymentBook(tmp_path / BOOK_FILE).total_cents() == 50
    assert "Zoë".encode() not in (tmp_path / BOOK_FILE).read_bytes()


@pytest.mark.parametrize("change", [{"amount_cents": 26}, {"worker": 4}, {"purpose": "bonus"}])
async def test_a_token_stands_for_one_payment(change: dict[str, object], tmp_path: Path) -> None:
    paying = provider(data_dir=tmp_path)
    await paying.pay(ORDER)
    with pytest.raises(PaymentRefusedError, match="its token belongs to a different payment, payment 1"):
        await paying.pay(ORDER._replace(**change))  # type: ignore[arg-type]  # the names are fields
    assert PaymentBook(tmp_path / BOOK_FILE).total_cents() == 25


async def test_a_book_that_cannot_be_written_pays_nobody(tmp_path: Path) -> None:
    with pytest.raises(PaymentRefusedError, match="cannot be written"):
        await provider(data_dir=tmp_path / "nowhere").pay(ORDER)
