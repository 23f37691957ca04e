"""A fake SONA: studies with credit tokens, students with survey codes, and the grant of credit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from random import Random

from ..clock import START_SECONDS, Agenda, FakeClock
from ..faults import FaultPlan, Faults
from ..guesses import Guesses
from .guesses import SonaGuess

#: The school's time zone.
SCHOOL_ZONE = timezone(timedelta(hours=-5))
#: An account that is not a student's, for the sample link.
RESEARCHER = "researcher"
SAMPLE_STUDY_URL = "https://tasks.example/?id=%SURVEY_CODE%"


class GrantResult(Enum):
    """The eight answers (`client-side-completion-url-responses`): the text for browsers, and a word for servers."""

    GRANTED = ("Web study credit successfully granted.", "OK")
    NOT_A_PARTICIPANT = (
        "No credit given because you are not a participant, and therefore cannot sign-up for this study.",
        "NOT_A_PARTICIPANT",
    )
    WRONG_STUDY = ("Invalid experiment_id or credit_token.", "INVALID_EXPERIMENT_ID_OR_CREDIT_TOKEN")
    CODE_MISSING = ("Invalid survey_code.", "INVALID_SURVEY_CODE")
    CODE_UNKNOWN = ("Invalid survey_code. ## 81", "INVALID_SURVEY_CODE")
    ALREADY_RECEIVED = ("You have already received credit for this study.", "ALREADY_CREDITED")
    NOT_ELIGIBLE = ("You are not eligible to participate in this study.", "NOT_ELIGIBLE")
    OTHER = ("Web study credit grant error. ## 17", "GRANT_ERROR_17")

    @property
    def text(self) -> str:
        """The sentence for browsers."""
        return str(self.value[0])

    @property
    def word(self) -> str:
        """The word that servers get, if that guess is flipped."""
        return str(self.value[1])


@dataclass
class FakeSonaStudy:
    """A study with one timeslot."""

    experiment_id: str
    credit_token: str
    name: str
    #: With `%SURVEY_CODE%` where the code is to stand.
    url: str
    places: int
    #: Local time of the school, as a person typed it: `2026-11-09 23:59`.
    deadline: str


@dataclass
class FakeSignUp:
    """A student in a study."""

    study: FakeSonaStudy
    student: str
    code: str
    #: Awaiting, Granted or NoShow.
    status: str = "Awaiting"
    #: Requests for credit that were carried out; more than one grants nothing more.
    grants: int = 0


class FakeSona:
    """One school's site.

    Attributes:
        clock: the site's time.
        agenda: what happens by itself: nothing.
        faults: disturb the API.
        guesses: the ways of what nobody knows.
        studies: studies by experiment id.
        sign_ups: all sign-ups.
        maintenance_calls: so many next calls are answered by a page about maintenance.
    """

    def __init__(
        self,
        source: Callable[[], float],
        *,
        plan: FaultPlan | None = None,
        flipped: tuple[str, ...] = (),
        seed: int = 0,
        start_seconds: float = START_SECONDS,
    ) -> None:
        """Open the site.

        Args:
            source: a clock in seconds that never falls.
            plan: disturbances.
            flipped: names of guesses that are to go the other way.
            seed: codes and tokens are drawn from it.
            start_seconds: the site's time at first, in seconds since the epoch.

        Raises:
            ConfigError: a guess does not exist.
        """
        self.clock = FakeClock(source, start_seconds)
        self.agenda = Agenda(self.clock)
        self.faults = Faults(plan)
        self.guesses = Guesses(SonaGuess, flipped)
        self.studies: dict[str, FakeSonaStudy] = {}
        self.sign_ups: list[FakeSignUp] = []
        self.maintenance_calls = 0
        self._random = Random(seed)
        self._codes: dict[str, str] = {}

    def add_study(self, name: str, url: str, places: int, deadline: str) -> FakeSonaStudy:
        """Make a study, as a researcher does on a page.

        Raises:
            ValueError: the deadline is no time.
        """
        datetime.fromisoformat(deadline)
        study = FakeSonaStudy(
            str(1000 + len(self.studies)), f"{self._random.getrandbits(112):028x}", name, url, places, deadline
        )
        self.studies[study.experiment_id] = study
        self.sign_ups.append(FakeSignUp(study, RESEARCHER, self._new_code(RESEARCHER)))
        return study

    def sign_up(self, study: FakeSonaStudy, student: str) -> FakeSignUp:
        """Give a student a place.

        Raises:
            ValueError: there is none, the deadline is over, or the student has one.
        """
        mine = [one for one in self.sign_ups if one.study is study and one.student == student]
        taken = sum(one.study is study and one.student != RESEARCHER for one in self.sign_ups)
        if mine:
            raise ValueError("you have signed up for this study")
        if taken >= study.places:
            raise ValueError("the timeslot is full")
        if self.clock.now() >= self.deadline_of(study):
            raise ValueError("the timeslot is over")
        sign_up = FakeSignUp(study, student, self._new_code(student))
        self.sign_ups.append(sign_up)
        return sign_up

    def grant(self, experiment_id: str, credit_token: str, survey_code: str) -> tuple[GrantResult, FakeSignUp | None]:
        """Grant credit; the answer, and whom it is about."""
        study = self.studies.get(experiment_id)
        looks_at_code_first = self.guesses.is_flipped(SonaGuess.CODE_IS_LOOKED_AT_FIRST)
        if not survey_code and looks_at_code_first:
            return GrantResult.CODE_MISSING, None
        if study is None or study.credit_token != credit_token:
            return GrantResult.WRONG_STUDY, None
        if not survey_code:
            return GrantResult.CODE_MISSING, None
        found = [one for one in self.sign_ups if one.study is study and one.code == survey_code]
        if not found:
            return GrantResult.CODE_UNKNOWN, None
        sign_up = found[0]
        if sign_up.student == RESEARCHER:
            return GrantResult.NOT_A_PARTICIPANT, sign_up
        sign_up.grants += 1
        if sign_up.status == "Granted":
            return GrantResult.ALREADY_RECEIVED, sign_up
        if sign_up.status == "NoShow":
            return GrantResult.NOT_ELIGIBLE, sign_up
        is_late = self.clock.now() >= self.deadline_of(study)
        if is_late and self.guesses.is_flipped(SonaGuess.LATE_CREDIT_IS_REFUSED):
            return GrantResult.OTHER, sign_up
        sign_up.status = "Granted"
        return GrantResult.GRANTED, sign_up

    def deadline_of(self, study: FakeSonaStudy) -> float:
        """Return the deadline in seconds since the epoch."""
        zone = UTC if self.guesses.is_flipped(SonaGuess.DEADLINES_ARE_UTC) else SCHOOL_ZONE
        return datetime.fromisoformat(study.deadline).replace(tzinfo=zone).timestamp()

    def books(self) -> object:
        """Return studies and credit."""
        return {
            "studies": [
                {"experiment_id": one.experiment_id, "name": one.name, "places": one.places, "deadline": one.deadline}
                for one in self.studies.values()
            ],
            "sign_ups": [
                {
                    "experiment_id": one.study.experiment_id,
                    "student": one.student,
                    "code": one.code,
                    "status": one.status,
                    "requests": one.grants,
                }
                for one in self.sign_ups
            ],
        }

    def wake(self) -> None:
        """React to a clock that was moved."""

    def _new_code(self, student: str) -> str:
        """Return a code of two to seven digits that no other sign-up has."""
        if student in self._codes and self.guesses.is_flipped(SonaGuess.ONE_CODE_FOR_ALL_STUDIES):
            return self._codes[student]
        used = {one.code for one in self.sign_ups}
        code = str(self._random.randint(10, 99_999))
        while code in used:
            code = str(self._random.randint(10, 9_999_999))
        return self._codes.setdefault(student, code) if student not in self._codes else code
