"""Runs tasks whose page needs nothing from the server but its data: one object in, one submission out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Collection, Iterable, Iterator, Mapping
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, cast

from omegaconf import DictConfig, OmegaConf

from ...core.abstractions.agent import InitializationData, Update
from ...core.abstractions.args import BlueprintArgs
from ...core.abstractions.blueprint import AssignmentData, PlannedUnits, SharedTaskState
from ...core.abstractions.mixins import OnboardingRequired, OnboardingRequiredArgs
from ...core.abstractions.screen_task_required import ScreenTaskRequired, ScreenTaskRequiredArgs, ScreenTaskSharedState
from ...core.abstractions.shared_task_state import OnboardingSharedState
from ...core.abstractions.task_runner import TaskRunner
from ...core.abstractions.use_gold_unit import GoldUnitSharedState, UseGoldUnit, UseGoldUnitArgs
from ...core.commands.labels import LabelPlan
from ...core.errors import ConfigError
from ...core.operations.logger_core import get_logger
from ...core.operations.registry import register_mephisto_abstraction
from .data_files import READERS, read_file
from .file_remarks import FileRemarks
from .form_spec import AnyField
from .form_validation import problems_of
from .html.html_page import HtmlPage, is_html_task
from .items.item_checks import ItemRules, ItemsSeen, check_item, check_items, checked
from .items.overlap import KEY as OVERLAP_KEY
from .items.stop_rule import KEY as STOP_KEY
from .items.unit_counts import check_units_per_assignment, read_unit_counts, stock_form
from .onboarding.training import check_no_training, passing, training_of
from .page_checks import check_page
from .page_files import CLIENT, MEDIA_FOLDER, check_folder, put_folder, put_media, put_page
from .stock_page import FRONTEND_SETTINGS, LISTED_COLUMNS, STOCK_PAGE, check_no_signals, read_settings

SCRIPT_DATA = "static_task_data"

logger = get_logger(__name__)


@dataclass
class StaticTaskBlueprintArgs(OnboardingRequiredArgs, ScreenTaskRequiredArgs, UseGoldUnitArgs, BlueprintArgs):
    """Settings of a static task."""

    data_csv: str | None = field(
        default=None, metadata={"help": "A CSV file with a header; each row is an assignment's data."}
    )
    data_json: str | None = field(
        default=None, metadata={"help": "A JSON file with an array; each object is an assignment's data."}
    )
    data_jsonl: str | None = field(
        default=None, metadata={"help": "A file of JSON lines; each object is an assignment's data."}
    )
    units_per_assignment: int = field(default=1, metadata={"help": "Number of workers for each piece of data."})
    overlap: dict[str, Any] | None = field(
        default=None,
        metadata={
            "help": "A share of the items that gets more workers: {fraction: 0.2, count: 3}, and if wanted stratify_by "
            "(a column) and seed."
        },
    )
    stop_when: dict[str, Any] | None = field(
        default=None,
        metadata={
            "help": "Further workers for an item until its label is sure enough: {confidence: 0.95, min: 2, max: 5}; "
            "answer (a field of the submission) and classes, if no form says them; accuracy, if it is known."
        },
    )
    task_source: str | None = field(
        default=None,
        metadata={
            "help": "The page: a folder with an index.html, a bundle of scripts, or an HTML file with ${fields} of the "
            "data; the stock page if not set."
        },
    )
    extra_source_dir: str | None = field(
        default=None, metadata={"help": "A folder of files that the page refers to: images, styles, scripts."}
    )
    link_task_source: bool = field(
        default=False, metadata={"help": "Whether the server sees a bundle change when it is built again."}
    )
    preview_source: str | None = field(
        default=None, metadata={"help": "For an HTML file: another one, for people who only look."}
    )
    onboarding_source: str | None = field(
        default=None, metadata={"help": "For an HTML file: another one, for the onboarding."}
    )
    html_fields: list[str] = field(
        default_factory=list,
        metadata={"help": "For an HTML file: fields of the data whose values are HTML; all others are shown as text."},
    )
    task_source_review: str | None = field(
        default=None,
        metadata={
            "help": "The page in which the review desk shows work: a bundle for Mephisto's review app, or HTML. "
            "Stock and HTML pages need none."
        },
    )
    instructions: str | None = field(
        default=None, metadata={"help": "Text above the work; blank lines separate paragraphs."}
    )
    # OmegaConf accepts no narrower type for nested values.
    form: list[Any] | None = field(
        default=None, metadata={"help": "The stock page's form: fields with name, type, label, required ..."}
    )
    show: list[Any] | None = field(
        default=None, metadata={"help": "Which fields of the data the stock page shows; all if not set."}
    )
    media_dir: str | None = field(
        default=None, metadata={"help": "A folder of media; the page shows a file in it, or a URL."}
    )
    onboarding: dict[str, Any] | None = field(
        default=None,
        metadata={"help": "The stock page's onboarding before the first task: instructions, show, form, training."},
    )
    submit_label: str | None = field(default=None, metadata={"help": "Label of the stock page's button."})
    submitted: str | None = field(default=None, metadata={"help": "Message of the stock page after the submission."})
    process_signals: bool = field(
        default=False,
        metadata={
            "help": "Whether the stock page counts how its form is filled in, and tells workers so: pasted text, keys, "
            "tab switches, time to the first key. What is written is not looked at."
        },
    )


@dataclass
class SharedStaticTaskState(OnboardingSharedState, ScreenTaskSharedState, GoldUnitSharedState):
    """Data and callbacks of a static task."""

    #: The data in place of a file: a list, a generator or an async generator of objects.
    static_task_data: Iterable[Update] | AsyncIterable[Update] | None = None


@register_mephisto_abstraction()
class StaticTaskBlueprint(OnboardingRequired, ScreenTaskRequired, UseGoldUnit):
    """Shows an object of the data on a page and takes what the worker submits."""

    BLUEPRINT_TYPE: ClassVar[str] = "static_task"
    ArgsClass: ClassVar[type[BlueprintArgs]] = StaticTaskBlueprintArgs
    SharedStateClass: ClassVar[type[SharedTaskState]] = SharedStaticTaskState
    TaskRunnerClass: ClassVar[type[TaskRunner]] = TaskRunner

    shared_state: SharedStaticTaskState

    def __init__(self, args: DictConfig, shared_state: SharedTaskState) -> None:
        """Keep the configuration and the shared state; a training validates the onboarding."""
        super().__init__(args, shared_state)
        training = training_of(plain_settings(args.blueprint), self.shared_state)
        if training is not None:
            self.shared_state = replace(self.shared_state, validate_onboarding=passing(training))

    @classmethod
    def check_settings(cls, args: DictConfig) -> None:
        """Check the form, and how many units items get.

        Raises:
            ConfigError: a setting is wrong.
        """
        check_units_per_assignment(args.blueprint.units_per_assignment)
        read_unit_counts(args.blueprint).check()

    @classmethod
    def assert_task_args(cls, args: DictConfig, shared_state: SharedTaskState) -> None:
        """Check whether the data, the page and the settings fit together.

        Raises:
            ConfigError: a file is missing or malformed, a setting is wrong, or they contradict each other.
        """
        if not isinstance(shared_state, SharedStaticTaskState):
            raise ConfigError("a static task takes a SharedStaticTaskState", key="shared_state")
        super().assert_task_args(args, shared_state)
        settings = plain_settings(args.blueprint)
        cls._check_unit_counts(args, shared_state)
        check_folder("media_dir", settings["media_dir"])
        task_page, onboarding_page = read_settings(settings)
        check_folder("extra_source_dir", settings["extra_source_dir"])
        has_own_page = settings["task_source"] is not None
        is_html = is_html_task(settings["task_source"])
        if has_own_page and not is_html:
            check_page(settings["task_source"], CLIENT)
        seen = _check_data(args, shared_state)
        if is_html:
            HtmlPage(settings).check(None if seen is None else seen.columns, tuple(shared_state.onboarding_data))
        if has_own_page:
            check_no_training(settings)
            check_no_signals(settings)
            return
        training_of(settings, shared_state)
        if settings["onboarding_qualification"] is not None:
            onboarding_page.check_columns(shared_state.onboarding_data)
        unused = [] if seen is None else task_page.check_columns(seen.columns)
        if unused:
            logger.warning(f"the page does not show these columns: {', '.join(unused[:LISTED_COLUMNS])}")

    @classmethod
    def _check_unit_counts(cls, args: DictConfig, shared_state: SharedStaticTaskState) -> None:
        """Check that the numbers of units make sense, and that all items are there if some of them are chosen.

        Raises:
            ConfigError: they do not, or they are not.
        """
        for key, setting in ((OVERLAP_KEY, args.blueprint.overlap), (STOP_KEY, args.blueprint.stop_when)):
            if setting is not None and cls.TaskRunnerClass.is_concurrent:
                raise ConfigError(
                    "the workers of an assignment work together, so each has as many as that needs",
                    key=key,
                    hint=f"Remove {key}",
                )
        counts = read_unit_counts(args.blueprint)
        given = shared_state.static_task_data
        if counts.overlap is not None and given is not None and not isinstance(given, Collection):
            raise ConfigError(
                f"{SCRIPT_DATA} is a generator, and an overlap is chosen from all items",
                key=OVERLAP_KEY,
                hint="Pass a list",
            )

    def _all_items(self) -> list[Update]:
        """Return all items of data that is there at the launch."""
        given = self.shared_state.static_task_data
        if isinstance(given, Collection):
            return list(checked(given, _rules(self.args, SCRIPT_DATA)))
        [setting] = _named_files(self.args.blueprint)
        return list(read_file(setting, _path(self.args.blueprint[setting])))

    def get_initialization_data(self) -> AssignmentData:
        """Return one assignment for each row or object, read as it is needed.

        Raises:
            ConfigError: there is an overlap that is stratified by a column which an item does not have.
        """
        counts = read_unit_counts(self.args.blueprint)
        units = counts.usual
        if counts.overlap is not None:
            items = self._all_items()
            return [_assignment(item, count) for item, count in zip(items, counts.of(items), strict=True)]
        given = self.shared_state.static_task_data
        if isinstance(given, AsyncIterable):
            return _assignments_from_async(given, units, _rules(self.args, SCRIPT_DATA))
        if given is not None:
            return _assignments(checked(given, _rules(self.args, SCRIPT_DATA)), units)
        [setting] = _named_files(self.args.blueprint)
        return _assignments(read_file(setting, _path(self.args.blueprint[setting])), units)

    def count_units(self) -> PlannedUnits | None:
        """Count the rows or objects; None if a generator makes them."""
        given = self.shared_state.static_task_data
        if given is not None and not isinstance(given, Collection):
            return None
        counts = read_unit_counts(self.args.blueprint)
        if counts.overlap is not None:
            items = self._all_items()
            return counts.planned(len(items), counts.of(items))
        if given is not None:
            return counts.planned(len(given))
        [setting] = _named_files(self.args.blueprint)
        return counts.planned(sum(1 for _ in read_file(setting, _path(self.args.blueprint[setting]))))

    @cached_property
    def label_plan(self) -> LabelPlan | None:
        """The setting `stop_when`."""
        return read_unit_counts(self.args.blueprint).plan

    def build_page(self, static_dir: Path) -> None:
        """Put the stock page, or the task's own, in place, and the media beside it.

        Raises:
            ConfigError: the page is missing.
        """
        settings = self.args.blueprint
        if settings.task_source is None:
            put_folder(CLIENT, static_dir)
            put_folder(STOCK_PAGE, static_dir)
        elif is_html_task(settings.task_source):
            HtmlPage(plain_settings(settings)).put(static_dir)
        else:
            put_page(settings.task_source, static_dir, link=settings.link_task_source)
        extra_files = check_folder("extra_source_dir", settings.extra_source_dir)
        if extra_files is not None:
            put_folder(extra_files, static_dir)
        media_dir = check_folder("media_dir", self.args.blueprint.media_dir)
        if media_dir is not None:
            put_media(media_dir, static_dir)

    @property
    def checks_submissions(self) -> bool:
        """True if the page is the stock page with a form."""
        return bool(self._form)

    def check_submission(self, answers: object) -> tuple[str, ...]:
        """Return what is wrong with the answers to the form of the stock page."""
        return problems_of(self._form, answers) if self._form else ()

    @cached_property
    def _form(self) -> list[AnyField]:
        """The fields of the stock page's form; empty if the page is another, or has its default form."""
        return stock_form(self.args.blueprint)

    def get_frontend_args(self) -> Update:
        """Return what every page gets, and the settings of the stock page."""
        settings = plain_settings(self.args.blueprint)
        frontend = {name: settings[name] for name in FRONTEND_SETTINGS if settings[name] not in (None, False)}
        instructions = {} if settings["instructions"] is None else {"instructions": settings["instructions"]}
        if settings["media_dir"] is not None:
            frontend["media"] = f"/{MEDIA_FOLDER}/"
        html = HtmlPage(settings).frontend_args() if is_html_task(settings["task_source"]) else {}
        return {**instructions, **html, "frontend": frontend, **super().get_frontend_args()}


def plain_settings(blueprint: DictConfig) -> dict[str, Any]:
    """Return a blueprint's settings as the JSON that a page gets."""
    return cast("dict[str, Any]", OmegaConf.to_container(blueprint, resolve=True))  # a DictConfig becomes a dict


def _check_data(args: DictConfig, shared_state: SharedStaticTaskState) -> ItemsSeen | None:
    """Read all data that exists before the launch; return None if a generator will yield it."""
    files = _named_files(args.blueprint)
    given = shared_state.static_task_data
    if len(files) + (given is not None) != 1:
        named = ", ".join([*files, *([SCRIPT_DATA] if given is not None else [])])
        raise ConfigError(
            f"the data comes from {named or 'nowhere'}",
            key="mephisto.blueprint.data_csv",
            hint=f"Set exactly one of {', '.join(READERS)}, or pass {SCRIPT_DATA} in the SharedStaticTaskState",
        )
    if files:
        return _check_file(files[0], args)
    if isinstance(given, Mapping) or not isinstance(given, Iterable | AsyncIterable):
        hint = "Call it" if callable(given) else "Pass a list, a generator or an async generator of dicts"
        raise ConfigError(f"{SCRIPT_DATA} is a {type(given).__name__}", key=SCRIPT_DATA, hint=hint)
    if not isinstance(given, Collection):
        return None
    if len(given) == 0:
        raise ConfigError(f"{SCRIPT_DATA} is empty", key=SCRIPT_DATA, hint="Pass an object for each assignment")
    return check_items(given, _rules(args, SCRIPT_DATA))


def _check_file(setting: str, args: DictConfig) -> ItemsSeen:
    file, remarks = _path(args.blueprint[setting]), FileRemarks()
    seen = check_items(read_file(setting, file, remarks), _rules(args, str(file)))
    for remark in remarks.sentences():
        logger.warning(f"{file}: {remark}")
    return seen


def _rules(args: DictConfig, source: str) -> ItemRules:
    settings = plain_settings(args.blueprint)
    shown = () if settings["task_source"] is not None else read_settings(settings)[0].media_columns
    return ItemRules(source, args.task.max_item_bytes, shown, check_folder("media_dir", settings["media_dir"]))


def _named_files(blueprint: DictConfig) -> list[str]:
    return [setting for setting in READERS if blueprint[setting] is not None]


def _path(setting: str) -> Path:
    return Path(setting).expanduser()


def _assignments(items: Iterable[Update], units: int) -> Iterator[InitializationData]:
    return (_assignment(item, units) for item in items)


async def _assignments_from_async(
    items: AsyncIterable[object], units: int, rules: ItemRules
) -> AsyncIterator[InitializationData]:
    number = 0
    async with aclosing(items) if isinstance(items, AsyncGenerator) else nullcontext():
        async for item in items:
            number += 1
            yield _assignment(check_item(item, number, rules), units)


def _assignment(item: Update, units: int) -> InitializationData:
    return InitializationData(shared=item, unit_data=({},) * units)


@dataclass
class StaticReactBlueprintArgs(StaticTaskBlueprintArgs):
    """Settings of a static task, under Mephisto's name for those with a bundle."""


@register_mephisto_abstraction()
class StaticReactBlueprint(StaticTaskBlueprint):
    """A static task under the name that Mephisto has for those whose page is a bundle."""

    BLUEPRINT_TYPE: ClassVar[str] = "static_react_task"
    ArgsClass: ClassVar[type[BlueprintArgs]] = StaticReactBlueprintArgs
