"""Says what a verdict does not bring about at the crowd site.

A rejection takes nothing back where the work was paid or credited before it, and not every site pays a bonus.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ...core.abstractions.crowd_provider import CrowdProvider
from ...core.operations.registry import get_crowd_provider_from_type, get_valid_provider_types
from ...events import streams
from ...events.agent import AgentAccepted
from ...events.engagement import ProviderObserved, SiteWorkStatus
from ...events.ids import AgentId, TaskRunId
from ...events.task_run import TaskRunCreated
from ...projections.queries.as_of import AsOf


def rejection_warnings(moment: AsOf, agents: Collection[AgentId]) -> Mapping[AgentId, str]:
    """Return what rejections do not take back at the run's site, in words, by agent; others are not warned of.

    Args:
        moment: the log.
        agents: agents whose work is, or may be, rejected.

    Raises:
        UnknownEntityError: there is no such agent.
    """
    found: dict[AgentId, str] = {}
    for agent in agents:
        run = TaskRunId(moment.db.get_agent(agent).task_run_id)
        warning = _warning(moment, run, _status_at_site(moment, run, agent))
        if warning is not None:
            found[agent] = warning
    return found


def bonus_warning(moment: AsOf, run: TaskRunId) -> str | None:
    """Return why the provider of a run pays no bonuses, and what to do about one; None: it pays them.

    Raises:
        IndexError: there is no such run.
    """
    provider = _provider_of(moment, run)
    if provider is None or not provider.NO_BONUS:
        return None
    return (
        f"{provider.NO_BONUS}: pay it by other means, and record that with "
        f"`mephisto-es pay {run} --settle PAYMENT paid`"
    )


def _warning(moment: AsOf, run: TaskRunId, shown: SiteWorkStatus | None) -> str | None:
    provider = _provider_of(moment, run)
    return None if provider is None else provider.rejection_warning(shown)


def _provider_of(moment: AsOf, run: TaskRunId) -> type[CrowdProvider] | None:
    """Return the provider of a run; None: it is not installed."""
    created = moment.stream(streams.task_run(run))[0].envelope.event
    if not isinstance(created, TaskRunCreated) or created.provider_type not in get_valid_provider_types():
        return None
    return get_crowd_provider_from_type(created.provider_type)


def _status_at_site(moment: AsOf, run: TaskRunId, agent: AgentId) -> SiteWorkStatus | None:
    """Return the status of an agent's work that was last observed at the site; None: it was not observed."""
    accepted = moment.stream(streams.agent(run, agent))[0].envelope.event
    if not isinstance(accepted, AgentAccepted):
        return None
    for recorded in reversed(moment.stream(streams.engagement(run, accepted.worker))):
        event = recorded.envelope.event
        if isinstance(event, ProviderObserved) and event.registration == accepted.registration:
            return event.status
    return None
