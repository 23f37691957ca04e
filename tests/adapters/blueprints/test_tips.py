"""Tips for workers in a file beside the task."""

from __future__ import annotations

from pathlib import Path

import pytest

from mephisto_es.adapters.blueprints.mock import MockBlueprint, MockSharedState
from mephisto_es.adapters.blueprints.remote_procedure import RemoteProcedureBlueprint
from mephisto_es.adapters.blueprints.static_task import StaticReactBlueprint
from mephisto_es.adapters.blueprints.worlds.parlai_chat import ParlAIChatBlueprint, SharedParlAITaskState
from mephisto_es.core.abstractions.blueprint import Blueprint
from mephisto_es.core.abstractions.work.tips import MAX_BYTES
from mephisto_es.core.errors import ConfigError

from .settings import run_config

#: As a review of Mephisto writes it.
TIPS = 'id,header,text,accepted\n1,Pauses,"Rest, and look <away>",True\n2,Grüße,,True\n'
KINDS = (StaticReactBlueprint, RemoteProcedureBlueprint, ParlAIChatBlueprint, MockBlueprint)


def tips_of(blueprint: type[Blueprint], file: Path) -> object:
    """Return the tips that pages get."""
    settings: dict[str, object] = {"tips_location": str(file)}
    shared_state = blueprint.SharedStateClass()
    if isinstance(shared_state, SharedParlAITaskState):
        world = file.with_name("worlds.py")
        world.write_text("def make_world(opt, agents): ...\ndef get_world_params(): return {'agent_count': 1}\n")
        settings |= {"world_file": str(world), "num_conversations": 1}
    return blueprint(run_config(blueprint, **settings), shared_state).get_frontend_args().get("tips")


@pytest.mark.parametrize("blueprint", KINDS)
def test_every_page_gets_header_and_text_of_each_tip(blueprint: type[Blueprint], tmp_path: Path) -> None:
    file = tmp_path / "tips.csv"
    assert tips_of(blueprint, file) is None
    file.write_bytes(b"\xef\xbb\xbf" + TIPS.encode())
    assert tips_of(blueprint, file) == [
        {"header": "Pauses", "text": "Rest, and look <away>"},
        {"header": "Grüße", "text": ""},
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"header,words\nA,B\n", "has no column 'text'"),
        (b"header,text\n\xff,B\n", "cannot be read: 'utf-8' codec"),
        (b"header,text\n" + b"A,B\n" * (MAX_BYTES // 4), "has more than 1,048,576 bytes"),
    ],
)
def test_a_file_that_has_no_tips_is_refused_at_the_launch(content: bytes, problem: str, tmp_path: Path) -> None:
    (tmp_path / "tips.csv").write_bytes(content)
    config = run_config(MockBlueprint, tips_location=str(tmp_path / "tips.csv"))
    with pytest.raises(ConfigError, match=problem) as refused:
        MockBlueprint.assert_task_args(config, MockSharedState())
    assert refused.value.key == "mephisto.blueprint.tips_location"


def test_an_empty_file_has_no_tips(tmp_path: Path) -> None:
    (tmp_path / "tips.csv").write_text("")
    assert tips_of(MockBlueprint, tmp_path / "tips.csv") is None
