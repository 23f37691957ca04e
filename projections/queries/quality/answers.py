"""Reads the submitted work of a run as answers to questions, and tells what kind of question each one is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

import msgspec

from ....core.lifecycles.unit import UnitStatus
from ....events.ids import GOLD_UNIT_INDEX, SCREENING_UNIT_INDEX, AgentId, AssignmentId, TaskRunId, UnitId, WorkerId
from ...mephisto_db.queries import JsonValue
from ...mephisto_db.rows import AgentRow, UnitRow
from ..as_of import AsOf
from ..evaluations import Evaluations
from ..unit_pages import UnitPage, in_pages
from ..unit_records import MIN_OWN_ID_CHARACTERS, leaves, own_ids
from .agreement import ItemAnswers, Label
from .process_signals import PROCESS_SIGNALS, ProcessSignals, signals_in

#: Different answers that a question with a choice has at most.
MAX_CHOICES = 20

_SUBMITTED = """
    SELECT units.unit_id, units.assignment_id, unit_index, units.worker_id, units.status, agents.agent_id,
        task_end - task_start
    FROM units JOIN agents USING (agent_id)
    WHERE units.task_run_id = ? AND task_end IS NOT NULL
        AND units.status IN ('completed', 'accepted', 'soft_rejected', 'rejected')
    ORDER BY task_end, units.unit_id
"""
#: Statuses of units whose work counts for labels and agreement.
_USED = frozenset({UnitStatus.COMPLETED.value, UnitStatus.ACCEPTED.value})
_EVALUATING = frozenset({SCREENING_UNIT_INDEX, GOLD_UNIT_INDEX})


class QuestionKind(Enum):
    """The shape of the answers to a question."""

    #: Few different answers, most of which were given more than once.
    CHOICE = "choice"
    #: Many different numbers.
    NUMBER = "number"
    #: Free text.
    TEXT = "text"


class SubmittedWork(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of submitted work."""

    unit: UnitId
    item: AssignmentId
    worker: WorkerId
    #: Index of the unit in its assignment; negative for units that evaluate workers.
    unit_index: int
    status: UnitStatus
    #: Whether it counts for labels and agreement: ordinary work that was not rejected, softly or not.
    is_used: bool
    #: From start to submission; None if the start is not known.
    seconds: float | None
    #: What the launch script said about a screening or gold unit.
    passed: bool | None
    #: How the form was filled in; None if the task does not count that.
    signals: ProcessSignals | None
    answers: Mapping[str, Label]


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One question, and the answers of work that counts."""

    name: str
    kind: QuestionKind
    #: Whether all answers are numbers.
    is_numeric: bool
    #: The different answers in order, if it is a choice.
    choices: tuple[Label, ...]
    #: The answers to each item.
    items: Mapping[AssignmentId, ItemAnswers]


def read_work(as_of: AsOf, run: TaskRunId) -> list[SubmittedWork]:
    """Return the submitted work of a run, in the order of submission.

    Raises:
        UnknownEntityError: there is no such run.
    """
    as_of.db.get_task_run(run)
    evaluations, pieces = Evaluations(as_of, run), list[SubmittedWork]()
    for rows in in_pages(as_of.db.execute(_SUBMITTED, (run,)).fetchall()):
        page = UnitPage(as_of.db, as_of.db.find_among(UnitRow, "unit_id", [unit for unit, *_ in rows]))
        pieces += [_piece(as_of, page, evaluations, *row) for row in rows]
    return pieces


def _piece(
    as_of: AsOf,
    page: UnitPage,
    evaluations: Evaluations,
    unit: UnitId,
    item: AssignmentId,
    index: int,
    worker: WorkerId,
    status: str,
    agent_id: AgentId,
    seconds: float | None,
) -> SubmittedWork:
    agent = page.agents[agent_id]
    outputs = page.outputs_of(agent)
    return SubmittedWork(
        unit=unit,
        item=item,
        worker=worker,
        unit_index=index,
        status=UnitStatus(status),
        is_used=index >= 0 and status in _USED,
        seconds=seconds,
        passed=evaluations.passed(unit, worker) if index in _EVALUATING else None,
        signals=signals_in(outputs),
        answers=_answers_of(as_of, agent, outputs),
    )


def questions_of(pieces: Sequence[SubmittedWork]) -> list[Question]:
    """Return the questions that work answers, in the order in which they first appear."""
    found: dict[str, dict[AssignmentId, dict[int, Label]]] = {}
    for piece in pieces:
        if piece.is_used:
            for name, label in piece.answers.items():
                found.setdefault(name, {}).setdefault(piece.item, {})[piece.worker] = label
    return [_question(name, items) for name, items in found.items()]


def _question(name: str, items: Mapping[AssignmentId, ItemAnswers]) -> Question:
    answers = [label for item in items.values() for label in item.values()]
    different = set(answers)
    is_numeric = all(isinstance(label, int | float) and not isinstance(label, bool) for label in answers)
    kind = QuestionKind.NUMBER if is_numeric else QuestionKind.TEXT
    # Numbers on a scale and booleans are choices from the first answer on; texts once most of them repeat.
    if len(different) <= MAX_CHOICES and (not _are_texts(different) or 2 * len(different) <= len(answers)):
        kind = QuestionKind.CHOICE
    choices = tuple(sorted(different, key=lambda one: (isinstance(one, str), str(type(one)), one)))
    return Question(
        name=name,
        kind=kind,
        is_numeric=is_numeric,
        choices=choices if kind is QuestionKind.CHOICE else (),
        items=items,
    )


def shown_label(label: Label) -> str:
    """Return an answer as text: a text as it is, other values as JSON."""
    return label if isinstance(label, str) else msgspec.json.encode(label).decode()


def _are_texts(labels: set[Label]) -> bool:
    return any(isinstance(label, str) for label in labels)


def _answers_of(as_of: AsOf, agent: AgentRow, outputs: JsonValue) -> dict[str, Label]:
    """Return the answers of an agent, without those that its page filled in with its own ids."""
    answers = _answers(outputs)
    if not any(isinstance(label, str) and len(label) >= MIN_OWN_ID_CHARACTERS for label in answers.values()):
        return answers
    own = own_ids(as_of, agent)
    return {name: label for name, label in answers.items() if label not in own}


def _answers(outputs: JsonValue) -> dict[str, Label]:
    answers: dict[str, Label] = {}
    for path, value in leaves(outputs):
        if path[0] == PROCESS_SIGNALS:
            continue
        label = label_of(value)
        if label is not None:
            answers.setdefault(".".join(path), label)
    return answers


def label_of(value: JsonValue) -> Label | None:
    """Return a value in outputs as an answer; None if it is none."""
    match value:
        case bool() | int() | float() | str():
            return value
        case list() if value:
            # The order in which boxes were ticked makes no difference.
            parts = sorted(msgspec.json.encode(part).decode() for part in value)
            return f"[{', '.join(parts)}]"
        case _:
            return None
