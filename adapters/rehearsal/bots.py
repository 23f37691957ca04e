"""Draws the workers of a rehearsal: most are honest, some careless, and a few have each habit that makes trouble."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import Any

from ..blueprints.form_spec import AnyField, read_form
from ..crowd.bot import Answer, Bot, draw_speed, succeed
from .answers_file import AnswersFile
from .form_answers import FormAnswers
from .settings import LaunchedRun

#: The typical time of a simulated worker for a unit.
THINK_SECONDS = 0.4
#: The typical time for a message: a chat of many turns must fit in the time of a unit.
CHAT_THINK_SECONDS = 0.1
#: One of so many workers is careless, and has each of these habits.
CARELESS = DOUBLE_CLICKING = 5
RETURNING = RELOADING = 10
LEAVING = TIMING_OUT = 15
HONEST_NAME, CARELESS_NAME = "honest", "careless"
#: The form of the stock page if the task describes none; see `static_task_page.js`.
_DEFAULT_FORM = [{"name": "answer", "type": "textarea", "required": True}]


class TaskForms:
    """The forms of a run's pages.

    Attributes:
        task: the form of the task; empty for a chat, or if the page is the task's own and its HTML has none.
        onboarding: the form of the onboarding; empty if it is the stock page's default, or the task's own.
    """

    def __init__(self, run: LaunchedRun, config: dict[str, Any], html_fields: Sequence[AnyField]) -> None:
        """Read the forms from the page's configuration, or else from its HTML."""
        frontend = config.get("frontend") or {}
        stock = read_form(frontend.get("form") or _DEFAULT_FORM, "form")
        self.task: list[AnyField] = [] if run.is_chat else list(html_fields) if run.has_own_page else stock
        onboarding = (frontend.get("onboarding") or {}).get("form")
        training = (frontend.get("onboarding") or {}).get("training")
        #: The right answers to each practice item of a training; empty if there is none.
        self.training: list[dict[str, Any]] = [] if training is None else [one["answers"] for one in training["items"]]
        self.onboarding: list[AnyField] = (
            [] if run.has_own_page or onboarding is None else read_form(onboarding, "onboarding.form")
        )


def draw_crowd(
    run: LaunchedRun,
    workers: int,
    chance: Random,
    forms: TaskForms,
    answers: AnswersFile | None,
    samples: Sequence[Any],
) -> tuple[Bot, ...]:
    """Draw the workers of a run.

    Args:
        run: the run.
        workers: the number of workers.
        chance: the source of random numbers.
        forms: the forms that workers fill in, unless an answers file says what they answer.
        answers: the answers file, if there is one.
        samples: work that was submitted in a browser, for a page of the task's own.
    """
    careless = set(chance.sample(range(workers), workers // CARELESS))
    bots = [
        Bot(
            name=f"{CARELESS_NAME if number in careless else HONEST_NAME}-{number + 1:02}",
            answer=_answer(run, forms, answers, samples, is_careless=number in careless),
            answer_onboarding=_onboarding(forms, answers, is_careless=number in careless),
            chat_messages=run.chat_messages,
            waits_for_end=run.is_chat,
            think_seconds=draw_speed(chance, CHAT_THINK_SECONDS if run.is_chat else THINK_SECONDS),
            seed=chance.getrandbits(64),
        )
        for number in range(workers)
    ]
    if answers is not None and (reply := answers.reply) is not None:
        bots = [replace(bot, reply=reply) for bot in bots]
    return tuple(_with_habits(bots, chance, is_chat=run.is_chat))


def _with_habits(bots: list[Bot], chance: Random, *, is_chat: bool) -> list[Bot]:
    """Give some workers habits; each of them has one at most, besides pressing the button twice."""
    count, order = len(bots), chance.sample(range(len(bots)), len(bots))
    habits = [
        *["disconnects_on_unit"] * max(count // LEAVING, count >= 4),
        *["returns_unit"] * max(count // RETURNING, count >= 4),
        *["reloads_on_unit"] * (0 if is_chat else max(count // RELOADING, count >= 6)),
        *["times_out_on_unit"] * (0 if is_chat else max(count // TIMING_OUT, count >= 6)),
    ]
    for number, habit in zip(order, habits, strict=False):
        bots[number] = replace(bots[number], **{habit: 1})  # type: ignore[arg-type]  # all four are units
    for number in order[len(habits) :: DOUBLE_CLICKING]:
        bots[number] = replace(bots[number], double_clicks=True)
    return bots


def _answer(
    run: LaunchedRun, forms: TaskForms, answers: AnswersFile | None, samples: Sequence[Any], *, is_careless: bool
) -> Answer:
    if answers is not None:
        return answers.answer
    if run.has_own_page and samples:
        return lambda _, rng: rng.choice(samples)
    return FormAnswers(forms.task, is_careless=is_careless)


def _onboarding(forms: TaskForms, answers: AnswersFile | None, *, is_careless: bool) -> Answer:
    if answers is not None and (given := answers.answer_onboarding) is not None:
        return given
    if forms.training:
        practiced = FormAnswers(forms.onboarding or forms.task, is_careless=is_careless)
        if is_careless:
            return lambda data, rng: {"training": [{"answers": practiced(data, rng)} for _ in forms.training]}
        return lambda _data, _rng: {"training": [{"answers": _first_of(right)} for right in forms.training]}
    return FormAnswers(forms.onboarding, is_careless=is_careless) if forms.onboarding else succeed


def _first_of(right: dict[str, Any]) -> dict[str, Any]:
    """Return right answers; of several to a field, the first."""
    return {name: answer[0] if isinstance(answer, list) and answer else answer for name, answer in right.items()}
