"""Links that do not let in everybody: an invitation is for one browser, and a link has room for some people."""

from __future__ import annotations

from mephisto_es.core.commands.admission import AdmitVisit
from mephisto_es.events import ids
from mephisto_es.events.base import Event
from mephisto_es.events.engagement import RefusalReason, VisitAdmitted, WorkerArrived, WorkerRefused

from .conftest import RUN, SmallRun, only


def admit(
    run: SmallRun, worker: int, *, invitation: str | None = None, session: str = "hers", room: int | None = None
) -> list[Event]:
    return run.execute(
        AdmitVisit(task_run=RUN, worker=ids.WorkerId(worker), invitation=invitation, session=session, max_people=room)
    )


def test_an_invitation_belongs_to_the_browser_that_uses_it_first(run: SmallRun) -> None:
    first = admit(run, 1, invitation="one")
    assert first == [WorkerArrived(worker=ids.WorkerId(1)), VisitAdmitted(invitation="one", session="hers")]
    assert admit(run, 1, invitation="one") == []
    refused = only(admit(run, 1, invitation="one", session="another"), WorkerRefused)
    assert (refused.rule, refused.reason) == ("invitation_unused", RefusalReason.INVITATION_USED)
    assert admit(run, 1, invitation="one") == []
    assert only(admit(run, 1, invitation="two", session="another"), VisitAdmitted).invitation == "two"


def test_a_link_has_room_for_some_people_who_may_come_back(run: SmallRun) -> None:
    assert only(admit(run, 1, room=1), VisitAdmitted).invitation is None
    refused = only(admit(run, 2, room=1), WorkerRefused)
    assert (refused.rule, refused.inputs) == ("link_has_room", {"limit": 1, "has": 1})
    assert refused.reason is RefusalReason.ENOUGH_PEOPLE
    assert admit(run, 1, room=1) == []
    assert only(admit(run, 2, room=2), VisitAdmitted) == VisitAdmitted(session="hers")


def test_an_invitation_does_not_make_room(run: SmallRun) -> None:
    admit(run, 1, invitation="one", room=1)
    assert only(admit(run, 2, invitation="two", room=1), WorkerRefused).reason is RefusalReason.ENOUGH_PEOPLE
