"""Finds items whose answers differ, and shows the answers to one item side by side, for a reviewer who decides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy

import msgspec

from ....core.commands.review import MAX_QUESTION
from ....core.errors import ConfigError, UnknownEntityError
from ....core.operations.control.requests import LabelRequest
from ....core.suggestions import did_you_mean
from ....events.assignment import AssignmentLabelled, AssignmentSettled
from ....events.ids import AssignmentId, TaskRunId, UnitId, WorkerId
from ..as_of import AsOf
from .agreement import Label
from .answers import Question, QuestionKind, SubmittedWork, questions_of, read_work, shown_label
from .decided_labels import LabelDecision, LabelDecisions, decisions_in, form_options, label_decisions, read_label

#: Events that change no answer: a decision, and that an item gets no more answers because of it.
_HARMLESS = (AssignmentLabelled, AssignmentSettled)
#: Events since an earlier position that are looked at; after more of them everything is read.
MAX_NEWER_EVENTS = 1_000

_ITEMS = "SELECT assignment_id FROM assignments WHERE task_run_id = ?"


class Disagreement(msgspec.Struct, frozen=True, kw_only=True):
    """One question about one item, to which workers gave different answers."""

    item: AssignmentId
    question: str
    #: How often each answer was given, the most frequent first.
    answers: dict[str, int]
    #: Share of the most frequent answer.
    share: float
    #: What a reviewer decided; None if nobody did, or if it was taken back.
    decision: LabelDecision | None


class GivenAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to a question about an item, and who gave it."""

    label: Label
    workers: tuple[WorkerId, ...]
    units: tuple[UnitId, ...]


class ItemQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """A question about one item, with all answers to it."""

    question: str
    kind: QuestionKind
    #: The most frequent first; work that was rejected counts, too.
    answers: tuple[GivenAnswer, ...]
    #: The latest decision; it may be one that takes back.
    decision: LabelDecision | None

    @property
    def number(self) -> int:
        """The number of decisions so far."""
        return 0 if self.decision is None else self.decision.number


class RunAnswers:
    """The answers in a run as of a position, with what reviewers decided."""

    def __init__(self, as_of: AsOf, run: TaskRunId) -> None:
        """Read them.

        Raises:
            UnknownEntityError: there is no such run.
        """
        self.run = run
        self._last = as_of.latest(1)
        self._pieces = [piece for piece in read_work(as_of, run) if piece.unit_index >= 0]
        self._by_item: dict[AssignmentId, list[SubmittedWork]] = {}
        for piece in self._pieces:
            self._by_item.setdefault(piece.item, []).append(piece)
        self._questions = {one.name: one for one in questions_of(self._pieces)}
        self._items = frozenset(AssignmentId(item) for (item,) in as_of.db.execute(_ITEMS, (run,)).fetchall())
        self._decisions: LabelDecisions = label_decisions(as_of, run)
        self._options = form_options(as_of, run)

    @property
    def count(self) -> int:
        """The number of pieces of work."""
        return len(self._pieces)

    def at(self, as_of: AsOf) -> RunAnswers:
        """Return the answers as of a later position.

        If nothing but decisions was recorded since, only those are read.

        Args:
            as_of: the log as of that position.

        Raises:
            UnknownEntityError: there is no such run.
        """
        begin = self._last[0].seq if self._last else 0
        newer = as_of.latest(as_of.seq - begin + 1) if 0 < begin <= as_of.seq <= begin + MAX_NEWER_EVENTS else []
        if newer[:1] != self._last or not all(isinstance(one.envelope.event, _HARMLESS) for one in newer[1:]):
            return RunAnswers(as_of, self.run)
        prefix = f"assignment/{self.run}/"
        changed = {one.envelope.stream for one in newer[1:] if one.envelope.stream.startswith(prefix)}
        decisions = dict(self._decisions)
        for stream in changed:
            for one in decisions_in(as_of, as_of.stream(stream)):
                decisions[one.item] = {**decisions.get(one.item, {}), one.question: one}
        found = copy(self)
        found._last, found._decisions = newer[-1:], decisions
        return found

    def disagreements(self, question: str | None = None) -> list[Disagreement]:
        """Return the items whose answers differ, those with the smallest majority first.

        Args:
            question: the question; None for all with a choice, because free texts and many numbers always differ.

        Raises:
            ConfigError: nobody's answers to such a question count.
        """
        if question is not None and question not in self._questions:
            raise _unknown(question, self._questions)
        chosen = [
            one
            for one in self._questions.values()
            if one.name == question or (question is None and one.kind is QuestionKind.CHOICE)
        ]
        found = [one for each in chosen for one in self._differing(each)]
        return sorted(found, key=lambda one: (one.share, one.item, one.question))

    def about(self, item: AssignmentId) -> tuple[ItemQuestion, ...]:
        """Return all questions about an item, in the order of the outputs.

        Raises:
            UnknownEntityError: the run has no such item.
        """
        if item not in self._items:
            raise UnknownEntityError(f"assignment {item} of run-{self.run}")
        pieces = self._by_item.get(item, [])
        names = dict.fromkeys(name for piece in pieces for name in piece.answers)
        return tuple(self._item_question(name, pieces) for name in names)

    def request(self, item: AssignmentId, question: str, text: str | None, note: str | None) -> LabelRequest | None:
        """Return the request that decides a question about an item, or takes such a decision back.

        None is returned if the same is decided already.

        Args:
            item: the item.
            question: the question.
            text: the answer as people write it; None takes the decision back.
            note: why.

        Raises:
            UnknownEntityError: the run has no such item.
            ConfigError: nobody answered such a question about it, or the text is no answer or no option of the form.
        """
        found = {one.question: one for one in self.about(item)}
        if question not in found:
            raise _unknown(question, found)
        asked = found[question]
        label = None if text is None else read_label(text, self._questions.get(question))
        if label is not None:
            self._check_option(asked, label)
        if label is not None and asked.decision is not None and asked.decision.says(label, note):
            return None
        return LabelRequest(
            task_run=self.run,
            assignment=item,
            question=question,
            label=None if label is None else msgspec.json.encode(label).decode(),
            units=tuple(sorted(unit for answer in asked.answers for unit in answer.units)),
            note=note,
            after=asked.number,
            worker=None if label is None else _author_of(asked, label),
        )

    def _check_option(self, asked: ItemQuestion, label: Label) -> None:
        """Check that an answer is an option of the form, unless somebody gave it nevertheless.

        Raises:
            ConfigError: it is not.
        """
        options, shown = self._options.get(asked.question, ()), shown_label(label)
        question = self._questions.get(asked.question)
        given = {one for item in question.items.values() for one in item.values()} if question is not None else set()
        if options and shown not in options and label not in given | {answer.label for answer in asked.answers}:
            raise ConfigError(
                f"{shown[:40]!r} is no option of {asked.question[:MAX_QUESTION]!r}",
                key="label",
                hint=did_you_mean(shown, options),
            )

    def _differing(self, question: Question) -> Iterator[Disagreement]:
        for item, answers in question.items.items():
            counts = Counter(answers.values())
            if len(counts) > 1:
                most = counts.most_common()
                decision = self._decisions.get(item, {}).get(question.name)
                yield Disagreement(
                    item=item,
                    question=question.name,
                    answers={shown_label(label): count for label, count in most},
                    share=most[0][1] / counts.total(),
                    decision=None if decision is None or decision.is_taken_back else decision,
                )

    def _item_question(self, name: str, pieces: Sequence[SubmittedWork]) -> ItemQuestion:
        given: dict[Label, list[SubmittedWork]] = {}
        for piece in pieces:
            if name in piece.answers:
                given.setdefault(piece.answers[name], []).append(piece)
        answers = [
            GivenAnswer(label=label, workers=tuple(one.worker for one in same), units=tuple(one.unit for one in same))
            for label, same in given.items()
        ]
        question = self._questions.get(name)
        decisions: Mapping[str, LabelDecision] = self._decisions.get(pieces[0].item, {})
        return ItemQuestion(
            question=name,
            kind=QuestionKind.TEXT if question is None else question.kind,
            answers=tuple(sorted(answers, key=lambda one: -len(one.units))),
            decision=decisions.get(name),
        )


def _unknown(question: str, known: Iterable[str]) -> ConfigError:
    shown = question[:MAX_QUESTION]
    return ConfigError(f"there are no answers to {shown!r}", key="question", hint=did_you_mean(question, known))


def _author_of(question: ItemQuestion, label: Label) -> WorkerId | None:
    """Return the worker whose own words an answer is; None if it is a choice, or if several gave it."""
    same = [worker for answer in question.answers if answer.label == label for worker in answer.workers]
    return same[0] if question.kind is QuestionKind.TEXT and len(same) == 1 else None
