"""The server-side code of tasks whose page talks with it while the work is being done."""

from __future__ import annotations

from .agent import Agent, PastUpdate, Update
from .task_runner import TaskRunner


class LiveTaskRunner(TaskRunner):
    """Gives a page that is loaded again all that was said before, from the log."""

    def get_init_data_for_agent(self, agent: Agent) -> Update:
        """The unit's data, and the live updates of both sides in their order."""
        past = [_as_page_sees_it(one) for one in agent.past_updates()]
        return {"task_data": agent.unit.data, "past_live_updates": past}


def _as_page_sees_it(past: PastUpdate) -> Update:
    # Pages know what they said themselves by its having no speaker.
    return {name: value for name, value in past.update.items() if not (past.by_page and name == "id")}
