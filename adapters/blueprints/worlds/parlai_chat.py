"""Provides chats that are written as worlds: a `world_file` has `make_world(opt, agents)`, as in Mephisto."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from omegaconf import DictConfig

from ....core.abstractions.agent import InitializationData, Update
from ....core.abstractions.args import BlueprintArgs
from ....core.abstractions.blueprint import AssignmentData, PlannedUnits
from ....core.abstractions.mixins import OnboardingRequired, OnboardingRequiredArgs
from ....core.abstractions.shared_task_state import OnboardingSharedState, SharedTaskState
from ....core.abstractions.task_runner import TaskRunner
from ....core.errors import ConfigError
from ....core.operations.registry import register_mephisto_abstraction
from ..data_files import read_file
from ..page_checks import check_page
from ..page_files import CLIENT, check_folder, put_folder, put_page
from .world_classes import KEY
from .world_module import HINT, WorldMaker, load_world_module
from .world_runner import ParlAIChatTaskRunner

#: The page of chats that have none of their own.
CHAT_PAGE = Path(__file__).parent / "page"
#: Settings for the data, with the kind of file that each one names.
CONTEXTS = {"context_csv": "data_csv", "context_jsonl": "data_jsonl"}
_PREFIX = "mephisto.blueprint"


@dataclass
class ParlAIChatBlueprintArgs(OnboardingRequiredArgs, BlueprintArgs):
    """Settings of a chat with worlds."""

    world_file: str | None = field(
        default=None, metadata={"help": "A Python file with make_world(opt, agents) and get_world_params()."}
    )
    num_conversations: int | None = field(default=None, metadata={"help": "Number of chats, if there is no context."})
    context_csv: str | None = field(default=None, metadata={"help": "A CSV file; each row is the data of a chat."})
    context_jsonl: str | None = field(default=None, metadata={"help": "JSON lines; each object is the data of a chat."})
    task_description_file: str | None = field(
        default=None, metadata={"help": "An HTML file that the page shows beside the chat."}
    )
    preview_source: str | None = field(default=None, metadata={"help": "An HTML file for people who only look."})
    custom_source_bundle: str | None = field(
        default=None, metadata={"help": "The page: a bundle of scripts; a chat page of ours if not set."}
    )
    custom_source_dir: str | None = field(
        default=None, metadata={"help": "The page: a folder with an index.html, or with build/bundle.js."}
    )
    extra_source_dir: str | None = field(
        default=None, metadata={"help": "A folder of files that the page refers to: images, styles, scripts."}
    )
    task_source_review: str | None = field(
        default=None,
        metadata={"help": "The page in which the review desk shows work: a bundle for Mephisto's review app, or HTML."},
    )
    max_repeats: int = field(
        default=3, metadata={"help": "How often a chat that a worker left is offered to others again; 0 for never."}
    )


@dataclass
class SharedParlAITaskState(OnboardingSharedState):
    """The state of a chat with worlds."""

    #: Added to the page's task config, as `frontend_task_opts`.
    frontend_task_opts: dict[str, Any] = field(default_factory=dict)
    #: Passed to `make_world` as `opt`.
    world_opt: dict[str, Any] = field(default_factory=dict)
    #: Passed to `make_onboarding_world` as `opt`.
    onboarding_world_opt: dict[str, Any] = field(default_factory=dict)
    #: The module of the worlds, in place of `world_file`.
    world_module: ModuleType | None = None


@register_mephisto_abstraction()
class ParlAIChatBlueprint(OnboardingRequired):
    """Chats that are worlds, each for one or more workers."""

    BLUEPRINT_TYPE: ClassVar[str] = "parlai_chat"
    ArgsClass: ClassVar[type[BlueprintArgs]] = ParlAIChatBlueprintArgs
    SharedStateClass: ClassVar[type[SharedTaskState]] = SharedParlAITaskState
    TaskRunnerClass: ClassVar[type[TaskRunner]] = ParlAIChatTaskRunner

    shared_state: SharedParlAITaskState

    def __init__(self, args: DictConfig, shared_state: SharedParlAITaskState) -> None:
        validate = _maker(args, shared_state).validate_onboarding
        if validate is not None and shared_state.validate_onboarding is SharedParlAITaskState().validate_onboarding:
            shared_state = replace(shared_state, validate_onboarding=validate)
        super().__init__(args, shared_state)

    @classmethod
    def assert_task_args(cls, args: DictConfig, shared_state: SharedTaskState) -> None:
        """Check that the worlds, the data and the page are there.

        Raises:
            ConfigError: something is missing or wrong.
        """
        if not isinstance(shared_state, SharedParlAITaskState):
            raise ConfigError("a chat with worlds takes a SharedParlAITaskState", key="shared_state")
        super().assert_task_args(args, shared_state)
        maker = _maker(args, shared_state)
        settings = args.blueprint
        if settings.onboarding_qualification is not None:
            maker.check_onboarding()
        if sum(1 for _ in _contexts(settings)) == 0:
            raise ConfigError(f"{_PREFIX}.num_conversations is 0", hint="It must be 1 or more")
        for name in ("task_description_file", "preview_source"):
            _text(settings, name)
        check_folder("extra_source_dir", settings.extra_source_dir)
        page = _page(settings)
        if page is not None:
            check_page(page, CLIENT)

    @cached_property
    def _worlds(self) -> WorldMaker:
        return _maker(self.args, self.shared_state)

    def get_initialization_data(self) -> AssignmentData:
        """Return one assignment for each row or object, or as many as `num_conversations`."""
        units: tuple[Update, ...] = ({},) * self._worlds.agent_count
        return (InitializationData(shared=row, unit_data=units) for row in _contexts(self.args.blueprint))

    def count_units(self) -> PlannedUnits:
        """Count the chats, and the workers in them."""
        workers = self._worlds.agent_count
        return PlannedUnits(sum(1 for _ in _contexts(self.args.blueprint)) * workers, workers)

    def build_page(self, static_dir: Path) -> None:
        """Put the chat page, or the task's own, in place, with its extra files."""
        page = _page(self.args.blueprint)
        if page is None:
            put_folder(CLIENT, static_dir)
            put_folder(CHAT_PAGE, static_dir)
        else:
            put_page(page, static_dir)
        extra_files = check_folder("extra_source_dir", self.args.blueprint.extra_source_dir)
        if extra_files is not None:
            put_folder(extra_files, static_dir)

    def get_frontend_args(self) -> Update:
        """Return what Mephisto's chat page gets."""
        settings, plain = self.args.blueprint, super().get_frontend_args()
        described = _text(settings, "task_description_file")
        return {
            "frame_height": 650,
            "chat_title": plain["task_title"],
            "has_preview": settings.preview_source is not None,
            "preview_html": _text(settings, "preview_source"),
            "block_mobile": True,
            "frontend_task_opts": self.shared_state.frontend_task_opts,
            **plain,
            **({} if described is None else {"task_description": described}),
        }

    def make_task_runner(self) -> TaskRunner:
        """Return what runs the worlds of this run."""
        state = self.shared_state
        return ParlAIChatTaskRunner(self.args, state, self._worlds, state.world_opt, state.onboarding_world_opt)


def _maker(args: DictConfig, shared_state: SharedParlAITaskState) -> WorldMaker:
    """Return what makes the worlds.

    Raises:
        ConfigError: there is no world file, or it lacks a function.
    """
    if shared_state.world_module is not None:
        return WorldMaker(shared_state.world_module)
    if args.blueprint.world_file is None:
        raise ConfigError(f"{KEY} is not set", key=KEY, hint=HINT)
    return WorldMaker(load_world_module(args.blueprint.world_file))


def _contexts(settings: DictConfig) -> Iterator[Update]:
    """Yield the data of each chat.

    Raises:
        ConfigError: no setting says what it is, or several do; or a file is missing or malformed.
    """
    names = [name for name in (*CONTEXTS, "num_conversations") if settings[name] is not None]
    if len(names) != 1:
        raise ConfigError(
            f"the data of the chats comes from {', '.join(names) or 'nowhere'}",
            key=f"{_PREFIX}.num_conversations",
            hint="Set exactly one of context_csv, context_jsonl and num_conversations",
        )
    [name] = names
    if name in CONTEXTS:
        yield from read_file(CONTEXTS[name], Path(settings[name]).expanduser())
    else:
        for _ in range(settings.num_conversations):
            yield {}


def _text(settings: DictConfig, name: str) -> str | None:
    """Return the text of a file that a setting names; None if it is not set.

    Raises:
        ConfigError: there is no such file.
    """
    if settings[name] is None:
        return None
    file, key = Path(settings[name]).expanduser(), f"{_PREFIX}.{name}"
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read", key=key, hint=f"Set {key} to an HTML file in UTF-8") from error


def _page(settings: DictConfig) -> str | None:
    """Return the task's own page; None if it has none."""
    if settings.custom_source_bundle is not None:
        return str(settings.custom_source_bundle)
    if settings.custom_source_dir is None:
        return None
    bundle = Path(settings.custom_source_dir).expanduser() / "build" / "bundle.js"
    return str(bundle if bundle.is_file() else settings.custom_source_dir)
