"""The rules of a fake Prolific for studies: publish, pause, stop, places, and what the site does by itself."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from ..clock import FakeClock
from ..guesses import Guesses
from .books import FakeStudy, ProlificBooks, RuleError, with_fees
from .guesses import ProlificGuess
from .schema import CreateStudyBody, UpdateStudyBody

#: Submissions that hold a place.
HOLDING = frozenset({"RESERVED", "ACTIVE", "AWAITING REVIEW", "APPROVED", "PARTIALLY APPROVED"})
#: Submissions that are being worked on.
OPEN = frozenset({"RESERVED", "ACTIVE"})
#: The least hourly pay, in cents.
MIN_HOURLY_CENTS = 800
SCREEN_OUT_ACTION = "FIXED_SCREEN_OUT_PAYMENT"
GATED_ACTIONS = frozenset({SCREEN_OUT_ACTION, "DYNAMIC_PAYMENT"})
ALLOW, BLOCK = "participant_group_allowlist", "participant_group_blocklist"
ALLOW_PEOPLE, BLOCK_PEOPLE = "custom_allowlist", "custom_blocklist"


class StudyRules:
    """Decides about studies."""

    def __init__(
        self,
        books: ProlificBooks,
        clock: FakeClock,
        guesses: Guesses[ProlificGuess],
        announce: Callable[[str, str, str | None], None],
        list_lag_seconds: Callable[[], float],
    ) -> None:
        """Take the parts.

        Args:
            books: all that the site knows.
            clock: the site's time.
            guesses: the ways of what nobody knows.
            announce: tells webhooks: event type, object's id, new status.
            list_lag_seconds: the time until a new study shows in lists.
        """
        self._books = books
        self._clock = clock
        self._guesses = guesses
        self._announce = announce
        self._list_lag_seconds = list_lag_seconds
        #: False: the workspace does not have screen-outs and part payments.
        self.has_gated_features = True

    def get(self, study_id: str) -> FakeStudy:
        """Return a study.

        Raises:
            KeyError: there is none.
        """
        return self._books.studies[study_id]

    def create(self, body: CreateStudyBody) -> FakeStudy:
        """Make a draft.

        Raises:
            RuleError: it is not a study that Prolific takes.
        """
        self._check(body)
        now = self._clock.now()
        study = FakeStudy(
            self._books.new_id(),
            body,
            body.total_available_places,
            body.internal_name,
            now,
            now + self._list_lag_seconds(),
            screen_out_slots=sum(
                action.slots or 0
                for code in body.completion_codes
                for action in code.actions
                if action.action == SCREEN_OUT_ACTION
            ),
        )
        self._books.studies[study.id] = study
        return study

    def update(self, study: FakeStudy, change: UpdateStudyBody) -> None:
        """Change a study.

        Raises:
            RuleError: places would be taken away from a published study, or there is no money for more.
        """
        if change.internal_name is not None:
            study.internal_name = change.internal_name
        places = change.total_available_places
        if places is None or places == study.places:
            return
        if study.status != "UNPUBLISHED":
            if places < study.places:
                raise RuleError("total_available_places can only be increased once a study is published")
            self._reserve(study, (places - study.places) * with_fees(study.body.reward))
        study.places = places
        study.is_stopped = False
        reopens = study.status in {"AWAITING REVIEW", "COMPLETED"}
        if reopens and not self._guesses.is_flipped(ProlificGuess.PLACES_DO_NOT_REOPEN):
            self._set(study, "ACTIVE")
        elif reopens:
            self._set(study, "PAUSED")

    def transition(self, study: FakeStudy, action: str) -> None:
        """Publish, pause, start or stop a study.

        Raises:
            RuleError: its status does not allow it, or there is no money.
        """
        match action, study.status:
            case "PUBLISH", "UNPUBLISHED":
                self._publish(study)
            case "PUBLISH", "ACTIVE" if not self._guesses.is_flipped(ProlificGuess.PUBLISHING_TWICE_IS_REFUSED):
                pass
            case "PAUSE", "ACTIVE":
                self._set(study, "PAUSED")
            case "PAUSE", "PAUSED":
                pass
            case "START", "PAUSED" | "AWAITING REVIEW" if not study.is_stopped:
                self._set(study, "ACTIVE")
                self.settle(study)
            case "STOP", "ACTIVE" | "PAUSED" | "AWAITING REVIEW":
                study.is_stopped = True
                self._set(study, "AWAITING REVIEW")
                self.settle(study)
            case _:
                raise RuleError(f"a study that is {study.status} cannot {action}")

    def delete(self, study: FakeStudy) -> None:
        """Delete a draft.

        Raises:
            RuleError: it was published.
        """
        if study.status != "UNPUBLISHED":
            raise RuleError("only a draft can be deleted")
        del self._books.studies[study.id]

    def places_taken(self, study: FakeStudy) -> int:
        """Return the number of places that submissions hold."""
        return sum(one.status in HOLDING for one in self._books.submissions_of(study))

    def settle(self, study: FakeStudy) -> None:
        """Let a study become full, reviewed or open again, as its submissions are now."""
        submissions = self._books.submissions_of(study)
        held = [one for one in submissions if one.status in HOLDING]
        if study.status == "ACTIVE" and len(held) >= study.places and not any(one.status in OPEN for one in held):
            self._set(study, "AWAITING REVIEW")
        if study.status in {"AWAITING REVIEW", "COMPLETED"}:
            waits = any(one.status in OPEN | {"AWAITING REVIEW"} for one in held)
            is_done = not waits and (study.is_stopped or len(held) >= study.places)
            self._set(study, "COMPLETED" if is_done else "AWAITING REVIEW")

    def place_came_free(self, study: FakeStudy) -> None:
        """React to a submission that was rejected or returned after it had been completed."""
        if study.is_stopped:
            self.settle(study)
        elif study.status in {"AWAITING REVIEW", "COMPLETED"}:
            is_flipped = self._guesses.is_flipped(ProlificGuess.REOPENED_STUDY_PAUSES)
            self._set(study, "PAUSED" if is_flipped else "AWAITING REVIEW")

    def use_screen_out_slot(self, study: FakeStudy) -> None:
        """Take one of the fixed screen-outs; without a further one the study pauses."""
        study.screen_out_slots -= 1
        if study.screen_out_slots <= 0 and study.status == "ACTIVE":
            self._set(study, "PAUSED")

    def admits(self, study: FakeStudy, participant: str) -> str | None:
        """Return why a participant does not get a place; None: they get one."""
        mine = [one for one in self._books.submissions_of(study) if one.participant == participant]
        limit = study.body.submissions_config.max_submissions_per_participant if study.body.submissions_config else 1
        if study.status != "ACTIVE":
            return "the study is not active"
        if self.places_taken(study) >= study.places:
            return "the study is full"
        if any(one.status in OPEN for one in mine) or 0 <= limit <= len(mine):
            return "you have taken part in this study"
        for one in study.body.filters:
            is_named = participant in one.selected_values
            if (one.filter_id == ALLOW_PEOPLE and not is_named) or (one.filter_id == BLOCK_PEOPLE and is_named):
                return "you are not eligible"
            groups = [self._books.groups[group] for group in one.selected_values if group in self._books.groups]
            is_member = any(participant in group.members for group in groups)
            if (one.filter_id == ALLOW and not is_member) or (one.filter_id == BLOCK and is_member):
                return "you are not eligible"
        return None

    def release(self, study: FakeStudy, cents: int) -> None:
        """Take a payment out of the money that is set aside for a study."""
        reserved = self._books.reserved.get(study.id, Decimal(0))
        self._books.reserved[study.id] = max(Decimal(0), reserved - with_fees(cents))

    def _publish(self, study: FakeStudy) -> None:
        slots = study.screen_out_slots
        cost = study.places * with_fees(study.body.reward)
        if slots:
            cost += slots * with_fees(fixed_screen_out_reward(study) or 0)
        self._reserve(study, cost)
        study.published_at = self._clock.now()
        self._set(study, "ACTIVE")

    def _reserve(self, study: FakeStudy, cost: Decimal) -> None:
        if cost > self._books.available:
            raise RuleError("your balance is not sufficient to pay for this study")
        self._books.reserved[study.id] = self._books.reserved.get(study.id, Decimal(0)) + cost

    def _set(self, study: FakeStudy, status: str) -> None:
        if study.status != status:
            study.status = status
            if status == "COMPLETED":
                self._books.reserved.pop(study.id, None)
            self._announce("study.status.change", study.id, status)

    def _check(self, body: CreateStudyBody) -> None:
        actions = [action for code in body.completion_codes for action in code.actions]
        fixed = [action for action in actions if action.action == SCREEN_OUT_ACTION]
        codes = [code.code for code in body.completion_codes]
        if not self.has_gated_features and any(action.action in GATED_ACTIONS for action in actions):
            raise RuleError("your workspace does not have access to this feature")
        if len(set(codes)) < len(codes):
            raise RuleError("completion codes must be unique in the study")
        if len(fixed) > 1:
            raise RuleError("a study can have one fixed screen-out code")
        if fixed and not 0 < (fixed[0].fixed_screen_out_reward or 0) < body.reward:
            raise RuleError("the fixed screen-out reward is above zero and below the reward")
        if bool(body.external_study_url) == bool(body.access_details):
            raise RuleError("either external_study_url or access_details is required")
        if (
            body.access_details
            and sum(one.total_allocation for one in body.access_details) != body.total_available_places
        ):
            raise RuleError("the allocations must sum to the places")
        if body.reward * 60 < MIN_HOURLY_CENTS * body.estimated_completion_time:
            raise RuleError("the reward is below the minimum hourly reward")
        if body.project is not None and body.project not in self._books.projects:
            raise RuleError("there is no such project")


def fixed_screen_out_reward(study: FakeStudy) -> int | None:
    """Return the fixed reward of a study's screen-out code, in cents."""
    for code in study.body.completion_codes:
        for action in code.actions:
            if action.action == SCREEN_OUT_ACTION:
                return action.fixed_screen_out_reward
    return None
