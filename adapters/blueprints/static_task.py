"""Tasks whose page needs nothing from the server but its data: one object in, one submission out."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, cast

from omegaconf import DictConfig, OmegaConf

from ...core.abstractions.agent import InitializationData, Update
from ...core.abstractions.args import BlueprintArgs
from ...core.abstractions.blueprint import AssignmentData, SharedTaskState
from ...core.abstractions.mixins import (
    GoldUnitSharedState,
    OnboardingRequired,
    OnboardingRequiredArgs,
    OnboardingSharedState,
    ScreenTaskRequired,
    ScreenTaskRequiredArgs,
    ScreenTaskSharedState,
    UseGoldUnit,
    UseGoldUnitArgs,
)
from ...core.abstractions.task_runner import TaskRunner
from ...core.errors import ConfigError
from ...core.operations.registry import register_mephisto_abstraction
from .data_files import READERS, check_file
from .form_spec import check_form
from .page_files import CLIENT, check_page, put_folder, put_page

STOCK_PAGE = Path(__file__).parent / "static_task_page"
#: Settings that the stock page gets below `frontend` of its task config.
FRONTEND_SETTINGS = ("form", "show", "onboarding", "submit_label", "submitted")


@dataclass
class StaticTaskBlueprintArgs(OnboardingRequiredArgs, ScreenTaskRequiredArgs, UseGoldUnitArgs, BlueprintArgs):
    """What a static task can be told."""

    data_csv: str | None = field(
        default=None, metadata={"help": "A CSV file with a header; each row is an assignment's data."}
    )
    data_json: str | None = field(
        default=None, metadata={"help": "A JSON file with an array; each object is an assignment's data."}
    )
    data_jsonl: str | None = field(
        default=None, metadata={"help": "A file of JSON lines; each object is an assignment's data."}
    )
    units_per_assignment: int = field(default=1, metadata={"help": "How many workers get each piece of data."})
    task_source: str | None = field(
        default=None,
        metadata={"help": "The page: a folder with an index.html, or a bundle of scripts; the stock page if not set."},
    )
    instructions: str | None = field(
        default=None, metadata={"help": "What stands above the work; blank lines part paragraphs."}
    )
    # OmegaConf takes no narrower type for what is nested freely.
    form: list[Any] | None = field(
        default=None, metadata={"help": "The stock page's form: fields with name, type, label, required ..."}
    )
    show: list[Any] | None = field(
        default=None, metadata={"help": "Which fields of the data the stock page shows; all if not set."}
    )
    onboarding: dict[str, Any] | None = field(
        default=None, metadata={"help": "What the stock page does before the first task: instructions, show, form."}
    )
    submit_label: str | None = field(default=None, metadata={"help": "The text of the stock page's button."})
    submitted: str | None = field(default=None, metadata={"help": "What the stock page says after the submission."})


@dataclass
class SharedStaticTaskState(OnboardingSharedState, ScreenTaskSharedState, GoldUnitSharedState):
    """What a script can pass to a static task."""

    #: The data in place of a file: a list, a generator or an async generator of objects.
    static_task_data: Iterable[Update] | AsyncIterable[Update] | None = None


@register_mephisto_abstraction()
class StaticTaskBlueprint(OnboardingRequired, ScreenTaskRequired, UseGoldUnit):
    """Shows a page some data and takes what the worker makes of it."""

    BLUEPRINT_TYPE: ClassVar[str] = "static_task"
    ArgsClass: ClassVar[type[BlueprintArgs]] = StaticTaskBlueprintArgs
    SharedStateClass: ClassVar[type[SharedTaskState]] = SharedStaticTaskState
    TaskRunnerClass: ClassVar[type[TaskRunner]] = TaskRunner

    shared_state: SharedStaticTaskState

    @classmethod
    def assert_task_args(cls, args: DictConfig, shared_state: SharedTaskState) -> None:
        """See whether there are data and a page.

        Raises:
            ConfigError: a file is missing or malformed, or a setting is wrong.
        """
        if not isinstance(shared_state, SharedStaticTaskState):
            raise ConfigError("a static task takes a SharedStaticTaskState", key="shared_state")
        super().assert_task_args(args, shared_state)
        check_units_per_assignment(args.blueprint.units_per_assignment)
        _check_data(args.blueprint, shared_state)
        settings = plain_settings(args.blueprint)
        if args.blueprint.task_source is not None:
            check_page(args.blueprint.task_source)
        if settings["form"] is not None:
            check_form(settings["form"], "mephisto.blueprint.form")
        onboarding_form = (settings["onboarding"] or {}).get("form")
        if onboarding_form is not None:
            check_form(onboarding_form, "mephisto.blueprint.onboarding.form")

    def get_initialization_data(self) -> AssignmentData:
        """One assignment for each row or object, read as it is needed."""
        units = self.args.blueprint.units_per_assignment
        given = self.shared_state.static_task_data
        if isinstance(given, AsyncIterable):
            return _assignments_from_async(given, units)
        if given is not None:
            return _assignments(given, units)
        [setting] = _named_files(self.args.blueprint)
        return _assignments(READERS[setting](_path(self.args.blueprint[setting])), units)

    def build_page(self, static_dir: Path) -> None:
        """Put the stock page, or the task's own, in place.

        Raises:
            ConfigError: the page is missing.
        """
        if self.args.blueprint.task_source is None:
            put_folder(CLIENT, static_dir)
            put_folder(STOCK_PAGE, static_dir)
        else:
            put_page(self.args.blueprint.task_source, static_dir)

    def get_frontend_args(self) -> Update:
        """What every page gets, and what the stock page shows."""
        settings = plain_settings(self.args.blueprint)
        frontend = {name: settings[name] for name in FRONTEND_SETTINGS if settings[name] is not None}
        instructions = {} if settings["instructions"] is None else {"instructions": settings["instructions"]}
        return {**instructions, "frontend": frontend, **super().get_frontend_args()}


def plain_settings(blueprint: DictConfig) -> dict[str, Any]:
    """A blueprint's settings as the JSON that a page gets."""
    return cast("dict[str, Any]", OmegaConf.to_container(blueprint, resolve=True))  # a DictConfig becomes a dict


def check_units_per_assignment(units: int) -> None:
    """See whether there is at least one.

    Raises:
        ConfigError: there is none.
    """
    if units < 1:
        key = "mephisto.blueprint.units_per_assignment"
        raise ConfigError(f"{key} is {units}", key=key, hint="It must be 1 or more")


def _check_data(blueprint: DictConfig, shared_state: SharedStaticTaskState) -> None:
    files = _named_files(blueprint)
    given = shared_state.static_task_data
    if len(files) + (given is not None) != 1:
        named = ", ".join([*files, *(["static_task_data"] if given is not None else [])])
        raise ConfigError(
            f"the data comes from {named or 'nowhere'}",
            key="mephisto.blueprint.data_csv",
            hint=f"Set exactly one of {', '.join(READERS)}, or pass static_task_data in the SharedStaticTaskState",
        )
    for setting in files:
        check_file(setting, _path(blueprint[setting]))
    if isinstance(given, Collection) and len(given) == 0:
        raise ConfigError(
            "static_task_data is empty", key="static_task_data", hint="Pass an object for each assignment"
        )


def _named_files(blueprint: DictConfig) -> list[str]:
    return [setting for setting in READERS if blueprint[setting] is not None]


def _path(setting: str) -> Path:
    return Path(setting).expanduser()


def _assignments(items: Iterable[Update], units: int) -> Iterator[InitializationData]:
    return (_assignment(item, units) for item in items)


async def _assignments_from_async(items: AsyncIterable[Update], units: int) -> AsyncIterator[InitializationData]:
    async for item in items:
        yield _assignment(item, units)


def _assignment(item: Update, units: int) -> InitializationData:
    if not isinstance(item, dict):
        raise ConfigError(
            f"static_task_data gave a {type(item).__name__}", key="static_task_data", hint="Each item must be a dict"
        )
    return InitializationData(shared=item, unit_data=({},) * units)
