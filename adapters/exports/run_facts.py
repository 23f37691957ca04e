"""Collects the facts about a run that describe a dataset made from it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

import msgspec

from ...events.ids import TaskRunId
from ...projections.queries.quality.answers import QuestionKind, questions_of, read_work
from ...projections.queries.quality.report import question_quality
from ..log.sqlite.as_of import LogAsOf
from ..quality.stop_plan import stop_plan
from ..quality.wording import stopped_agreement
from .facts import DatasetFacts, Publication

_MODELS = """
    SELECT DISTINCT model FROM model_replies JOIN agents USING (agent_id) WHERE task_run_id = ? ORDER BY 1
"""


def facts_of(
    moment: LogAsOf, run: TaskRunId, publication: Publication, *, is_anonymous: bool, has_labels: bool
) -> DatasetFacts:
    """Return the facts about a run that describe a dataset.

    Args:
        moment: the log as of the position that the dataset is made from.
        run: the run.
        publication: what the publisher says about it.
        is_anonymous: whether the rows have no names, notes and times of day.
        has_labels: whether the rows have labels.

    Raises:
        UnknownEntityError: there is no such run.
    """
    found, head = moment.db.get_task_run(run), moment.head()
    return DatasetFacts(
        task_name=moment.db.get_task(found.task_id).task_name,
        task_run=run,
        provider=found.provider_type,
        seq=head.seq,
        chain=head.chain.hex(),
        exported_at=datetime.fromtimestamp(head.at / 1_000_000, UTC),
        version=version("mephisto-es"),
        is_anonymous=is_anonymous,
        instructions=_instructions(found.init_params),
        agreement=tuple(_agreement(moment, run)),
        machine_tools=tuple(_machine_tools(moment, run, has_labels=has_labels)),
        license=publication.license,
        creator=publication.creator,
        url=publication.url,
    )


class _Task(msgspec.Struct):
    task_title: str = ""
    task_description: str = ""


class _Config(msgspec.Struct):
    task: _Task = msgspec.field(default_factory=_Task)


def _instructions(init_params: str) -> str:
    try:
        task = msgspec.json.decode(init_params, type=_Config).task
    except msgspec.DecodeError:
        # An imported run has Mephisto's configuration, or none.
        return ""
    return ": ".join(text for text in (task.task_title, task.task_description) if text)


def _agreement(moment: LogAsOf, run: TaskRunId) -> Iterable[str]:
    plan = stop_plan(moment, run)
    for question in questions_of(read_work(moment, run)):
        if question.kind is QuestionKind.TEXT:
            continue
        quality = question_quality(question, plan=plan)
        found = quality.agreement
        if found is not None and found.alpha is not None:
            stopped = f" It is {stopped_agreement(quality)}." if quality.is_stopped_by_rule else ""
            yield (
                f"{question.name}: Krippendorff's alpha {found.alpha:.2f} ({found.alpha_metric}) over {found.items:,} "
                f"items with two or more answers; {found.equal_pairs:,} of {found.pairs:,} pairs of answers are equal."
                f"{stopped}"
            )


def _machine_tools(moment: LogAsOf, run: TaskRunId, *, has_labels: bool) -> Iterable[str]:
    yield from (f"language model {model}" for (model,) in moment.db.execute(_MODELS, (run,)).fetchall())
    if has_labels:
        try:
            yield f"crowd-kit {version('crowd-kit')}: labels by Dawid-Skene and by MACE, each in columns of their own"
        except PackageNotFoundError:
            yield "labels by majority"
