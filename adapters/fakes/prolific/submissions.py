"""The rules of a fake Prolific for submissions: a participant's way, and the researcher's review."""

from __future__ import annotations

from collections.abc import Callable

from ..clock import Agenda, FakeClock
from ..guesses import Guesses
from .books import FakeStudy, FakeSubmission, ProlificBooks, RuleError
from .guesses import ProlificGuess
from .schema import CodeBody, TransitionSubmissionBody
from .studies import StudyRules, fixed_screen_out_reward

#: A reserved place is lost after this.
RESERVED_SECONDS = 10 * 60
DAY_SECONDS = 24 * 3600
#: Unreviewed work is approved by the site after this.
AUTO_APPROVAL_SECONDS = 21 * DAY_SECONDS
CATEGORIES = frozenset(
    {
        *("TOO_QUICKLY", "TOO_SLOWLY", "FAILED_INSTRUCTIONS", "INCOMP_LONGITUDINAL", "FAILED_CHECK", "LOW_EFFORT"),
        *("MALINGERING", "NO_CODE", "BAD_CODE", "NO_DATA", "UNSUPP_DEVICE", "OTHER"),
    }
)


class SubmissionRules:
    """Decides about submissions."""

    def __init__(
        self,
        books: ProlificBooks,
        studies: StudyRules,
        clock: FakeClock,
        agenda: Agenda,
        guesses: Guesses[ProlificGuess],
        announce: Callable[[str, str, str | None], None],
    ) -> None:
        """Take the parts; see `StudyRules`."""
        self._books = books
        self._studies = studies
        self._clock = clock
        self._agenda = agenda
        self._guesses = guesses
        self._announce = announce
        #: For this long a new submission is not found by its id.
        self.new_id_lag_seconds = 0.0
        #: Longest time until a bulk approval is carried out.
        self.bulk_lag_seconds = 0.0

    # The participant's side.

    def reserve(self, study: FakeStudy, participant: str) -> FakeSubmission:
        """Take a place for a participant.

        Raises:
            RuleError: they do not get one.
        """
        reason = self._studies.admits(study, participant)
        if reason is not None:
            raise RuleError(reason)
        now = self._clock.now()
        submission = FakeSubmission(self._books.new_id(), study, participant, now, now + self.new_id_lag_seconds)
        self._books.submissions[submission.id] = submission
        self._books.participants.add(participant)
        self._agenda.at(now + RESERVED_SECONDS, lambda _: self._expire(submission, "RESERVED"))
        return submission

    def start(self, submission: FakeSubmission) -> None:
        """Let the participant open the page."""
        if submission.status != "RESERVED":
            return
        now = self._clock.now()
        submission.started_at = now
        self._set(submission, "ACTIVE")
        limit = 60 * submission.study.maximum_minutes
        self._agenda.at(now + limit, lambda _: self._expire(submission, "ACTIVE"))

    def enter_code(self, submission: FakeSubmission, code: str) -> None:
        """Complete a submission with a code that the participant types or is sent on with.

        Raises:
            RuleError: it is not being worked on.
        """
        if submission.status not in {"ACTIVE", "TIMED-OUT"}:
            raise RuleError(f"a submission that is {submission.status} cannot be completed")
        known = submission.study.code(code)
        self._finish(submission, code)
        # A code of the server's that a participant enters is reviewed by hand.
        self._follow(submission, known if known is not None and known.actor == "participant" else None)

    def give_back(self, submission: FakeSubmission) -> None:
        """Return a submission, as its participant can at any time before it is paid.

        Raises:
            RuleError: it is over.
        """
        if submission.status not in {"RESERVED", "ACTIVE", "TIMED-OUT", "AWAITING REVIEW"}:
            raise RuleError(f"a submission that is {submission.status} cannot be returned")
        self._set(submission, "RETURNED")
        self._studies.place_came_free(submission.study)

    # The researcher's side.

    def transition(self, submission: FakeSubmission, body: TransitionSubmissionBody) -> None:
        """Do what the researcher asks; what is so already is ignored.

        Raises:
            RuleError: the status does not allow it, or something is missing.
        """
        match body.action:
            case "APPROVE":
                self.approve(submission)
            case "REJECT":
                self._reject(submission, body)
            case "COMPLETE":
                self._complete(submission, body)
            case "UNREJECT" if not self._guesses.is_flipped(ProlificGuess.UNREJECT_IS_REFUSED):
                self._only_from(submission, "REJECTED", body.action)
                self._set(submission, "AWAITING REVIEW")
            case "RETURN":
                self.give_back(submission)
            case _:
                raise RuleError(f"{body.action} is not a valid action")

    def approve(self, submission: FakeSubmission) -> None:
        """Approve a submission and pay the reward.

        Raises:
            RuleError: the status does not allow it.
        """
        if submission.status == "APPROVED":
            return
        self._only_from(submission, "AWAITING REVIEW", "APPROVE")
        self._pay_reward(submission, submission.study.body.reward)
        self._set(submission, "APPROVED")
        self._studies.settle(submission.study)

    def approve_in_background(self, submissions: list[FakeSubmission]) -> None:
        """Approve submissions one by one, some time later; what cannot be approved is left out."""

        def later(submission: FakeSubmission) -> Callable[[float], None]:
            def approve(_: float) -> None:
                if submission.status == "AWAITING REVIEW":
                    self.approve(submission)

            return approve

        for submission in submissions:
            self._agenda.after(self._books.uniform(self.bulk_lag_seconds), later(submission))
        self._agenda.run_due()

    def request_return(self, submission: FakeSubmission) -> str:
        """Ask the participant to return a submission; the status that the answer shows.

        Raises:
            RuleError: it is over.
        """
        if submission.status not in {"ACTIVE", "AWAITING REVIEW", "TIMED-OUT"}:
            raise RuleError(f"a submission that is {submission.status} cannot be returned")
        submission.return_requested_at = self._clock.now()
        shows_returned = self._guesses.is_flipped(ProlificGuess.RETURN_REQUEST_RETURNS)
        return "RETURNED" if shows_returned else submission.status

    def _reject(self, submission: FakeSubmission, body: TransitionSubmissionBody) -> None:
        if body.message is None or body.rejection_category not in CATEGORIES:
            raise RuleError("a rejection needs a message and a valid rejection_category")
        if submission.status != "REJECTED":
            self._only_from(submission, "AWAITING REVIEW", "REJECT")
            submission.message = body.message
            self._set(submission, "REJECTED")
            self._studies.place_came_free(submission.study)
        if self._guesses.is_flipped(ProlificGuess.REJECTION_ANSWERS_ERROR):
            raise RuleError("an error occurred")

    def _complete(self, submission: FakeSubmission, body: TransitionSubmissionBody) -> None:
        code = submission.study.code(body.completion_code or "")
        if code is None or code.actor != "researcher":
            raise RuleError("the completion code is not one that a researcher may use")
        if submission.entered_code == code.code:
            return
        if submission.status not in {"ACTIVE", "TIMED-OUT"}:
            raise RuleError(f"a submission that is {submission.status} cannot be completed")
        self._finish(submission, code.code)
        percentage = body.completion_code_data.percentage_of_reward if body.completion_code_data else None
        self._follow(submission, code, percentage)

    # What follows.

    def _finish(self, submission: FakeSubmission, code: str) -> None:
        submission.completed_at = self._clock.now()
        submission.entered_code = code

    def _follow(self, submission: FakeSubmission, code: CodeBody | None, percentage: float | None = None) -> None:
        """Carry out the actions of a code; without one a person reviews."""
        actions = {action.action: action for action in code.actions} if code else {}
        study = submission.study
        for name, add in (("ADD_TO_PARTICIPANT_GROUP", True), ("REMOVE_FROM_PARTICIPANT_GROUP", False)):
            group = self._books.groups.get(actions[name].participant_group or "") if name in actions else None
            if group is not None and add:
                group.members[submission.participant] = self._clock.now()
            elif group is not None:
                group.members.pop(submission.participant, None)
        if "FIXED_SCREEN_OUT_PAYMENT" in actions and study.screen_out_slots > 0:
            reward = fixed_screen_out_reward(study) or 0
            self._books.pay(reward)
            self._studies.release(study, reward)
            submission.bonuses.append(reward)  # it shows among the bonuses
            self._set(submission, "SCREENED OUT")
            self._studies.use_screen_out_slot(study)
        elif "DYNAMIC_PAYMENT" in actions and percentage is not None:
            self._pay_reward(submission, round(study.body.reward * percentage / 100))
            self._set(submission, "PARTIALLY APPROVED")
        else:
            self._await_review(submission)
            if "REQUEST_RETURN" in actions:
                submission.return_requested_at = self._clock.now()
            if "AUTOMATICALLY_APPROVE" in actions and not self._was_hasty(submission):
                self.approve(submission)
        self._studies.settle(study)

    def _await_review(self, submission: FakeSubmission) -> None:
        self._set(submission, "AWAITING REVIEW")

        def approve(_: float) -> None:
            if submission.status == "AWAITING REVIEW":
                self.approve(submission)

        self._agenda.at((submission.completed_at or 0) + AUTO_APPROVAL_SECONDS, approve)

    def _was_hasty(self, submission: FakeSubmission) -> bool:
        """Return True if the work took less than half of the estimate, and a person is to look at it."""
        took = (submission.completed_at or 0) - (submission.started_at or 0)
        return took < 60 * submission.study.body.estimated_completion_time / 2

    def _pay_reward(self, submission: FakeSubmission, cents: int) -> None:
        self._books.pay(cents)
        self._studies.release(submission.study, submission.study.body.reward)
        submission.reward_paid = cents

    def _expire(self, submission: FakeSubmission, status: str) -> None:
        if submission.status == status:
            self._set(submission, "TIMED-OUT")

    def _only_from(self, submission: FakeSubmission, status: str, action: str) -> None:
        if submission.status != status:
            raise RuleError(f"cannot {action} a submission that is {submission.status}")

    def _set(self, submission: FakeSubmission, status: str) -> None:
        submission.status = status
        submission.changed_at = self._clock.now()
        self._announce("submission.status.change", submission.id, status)
