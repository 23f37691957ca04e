"""Reads the labels that reviewers decided: the answers to questions about items, whatever the workers' answers were."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from ....core.errors import ConfigError
from ....events.assignment import AssignmentLabelled
from ....events.envelope import RecordedEvent
from ....events.ids import AssignmentId, TaskRunId, UnitId
from ...mephisto_db.queries import JsonValue
from ..as_of import AsOf
from .agreement import Label
from .answers import Question, label_of, shown_label

#: The types of form fields of which one option is chosen.
_CLOSED = frozenset({"choice", "select"})
#: Characters of a label that a reviewer gives at most.
MAX_LABEL = 10_000


class LabelDecision(msgspec.Struct, frozen=True, kw_only=True):
    """The decision of a reviewer on one question about an item."""

    item: AssignmentId
    question: str
    #: None if the decision before was taken back, or if the answer was erased.
    label: Label | None
    is_taken_back: bool
    #: The author, as the log has it.
    reviewer: str
    note: str | None
    #: The units whose work was looked at.
    units: tuple[UnitId, ...]
    #: 1 for the first decision on the question; a later one revises it.
    number: int
    seq: int

    def says(self, label: Label, note: str | None) -> bool:
        """Return whether it is a decision for the same answer, with the same note, or if there is no new one."""
        return type(label) is type(self.label) and label == self.label and (not note or note == self.note)


#: The latest decision on each question, by item.
LabelDecisions = Mapping[AssignmentId, Mapping[str, LabelDecision]]


def label_decisions(as_of: AsOf, run: TaskRunId) -> LabelDecisions:
    """Return the decisions of reviewers on the items of a run; those that were taken back are among them."""
    found: dict[AssignmentId, dict[str, LabelDecision]] = {}
    for one in decisions_in(as_of, as_of.under(f"assignment/{run}/")):
        found.setdefault(one.item, {})[one.question] = one
    return found


def decisions_in(as_of: AsOf, events: Iterable[RecordedEvent]) -> Iterable[LabelDecision]:
    """Yield all decisions among events, the oldest first."""
    counts: dict[tuple[str, str], int] = {}
    for seq, envelope in events:
        event = envelope.event
        if isinstance(event, AssignmentLabelled):
            key = (envelope.stream, event.question)
            counts[key] = counts.get(key, 0) + 1
            yield LabelDecision(
                item=AssignmentId(int(envelope.stream.rpartition("/")[2])),
                question=event.question,
                label=None if event.label is None else _label(as_of.db.read_text(event.label)),
                is_taken_back=event.label is None,
                reviewer=event.reviewer,
                note=None if event.note is None else as_of.db.read_text(event.note),
                units=event.units,
                number=counts[key],
                seq=seq,
            )


def decided_labels(decisions: LabelDecisions, question: str) -> dict[AssignmentId, Label]:
    """Return the labels that reviewers decided for a question, without those that were taken back or erased."""
    latest = {item: found[question].label for item, found in decisions.items() if question in found}
    return {item: label for item, label in latest.items() if label is not None}


def form_options(as_of: AsOf, run: TaskRunId) -> Mapping[str, tuple[str, ...]]:
    """Return the options of the questions with a closed choice in a run's form, as `shown_label` shows them.

    A task with its own page has no such form, and neither has an imported run.

    Raises:
        UnknownEntityError: there is no such run.
    """
    try:
        blueprint = msgspec.json.decode(as_of.db.get_task_run(run).init_params, type=_FormedConfig).blueprint
    except msgspec.DecodeError:
        return {}
    return {
        str(field.get("name")): tuple(_option(one) for one in options)
        for field in (blueprint.form if blueprint is not None else None) or ()
        if field.get("type") in _CLOSED and isinstance(options := field.get("options"), list)
    }


def _option(option: JsonValue) -> str:
    value = option.get("value") if isinstance(option, dict) else option
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


class _FormedBlueprint(msgspec.Struct):
    form: list[dict[str, JsonValue]] | None = None


class _FormedConfig(msgspec.Struct):
    blueprint: _FormedBlueprint | None = None


def read_label(text: str, question: Question | None) -> Label:
    """Return the answer that a text stands for: one that was given, or another one of the same type.

    Args:
        text: the answer as `shown_label` shows it.
        question: the question; None if nobody's answers to it count.

    Raises:
        ConfigError: it is empty, too long, or no answer to such a question.
    """
    text = text.strip()
    if not text or len(text) > MAX_LABEL:
        raise ConfigError(f"a label has 1 to {MAX_LABEL:,} characters", key="label")
    if question is None:
        return text
    given = {shown_label(label): label for item in question.items.values() for label in item.values()}
    if text in given:
        return given[text]
    types = {type(label) for label in given.values()}
    if str in types or not types:
        return text
    label = _label(text)
    is_number = isinstance(label, int | float) and not isinstance(label, bool)
    if label is not None and ((is_number and question.is_numeric) or type(label) in types):
        return label
    raise ConfigError(
        f"{text[:40]!r} is no answer to {question.name!r}", key="label", hint=f"Given were {', '.join([*given][:6])}"
    )


def _label(text: str | None) -> Label | None:
    try:
        value: JsonValue = None if text is None else msgspec.json.decode(text)
        return label_of(value)
    except msgspec.DecodeError:
        return None
