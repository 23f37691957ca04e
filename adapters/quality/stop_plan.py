"""Reads the stop rule of a run from its configuration in the log."""

from __future__ import annotations

import msgspec

from ...core.commands.labels import LabelPlan
from ...core.errors import ConfigError
from ...events.ids import TaskRunId
from ...projections.queries.as_of import AsOf
from ..blueprints.form_spec import read_form
from ..blueprints.items.stop_rule import read_stop_rule


class _Blueprint(msgspec.Struct):
    stop_when: dict[str, object] | None = None
    form: object = None
    task_source: str | None = None
    units_per_assignment: int = 1


class _StoppedConfig(msgspec.Struct):
    blueprint: _Blueprint = msgspec.field(default_factory=_Blueprint)


def stop_plan(as_of: AsOf, run: TaskRunId) -> LabelPlan | None:
    """Return the stop rule of a run; None if it has none that can be read.

    Raises:
        UnknownEntityError: there is no such run.
    """
    text = as_of.db.get_task_run(run).init_params
    try:
        settings = msgspec.json.decode(text, type=_StoppedConfig).blueprint
        if settings.stop_when is None:
            return None
        has_form = settings.task_source is None and settings.form is not None
        form = read_form(settings.form, "mephisto.blueprint.form") if has_form else []
        return read_stop_rule(settings.stop_when, form, settings.units_per_assignment)
    except (msgspec.DecodeError, ConfigError):
        # An imported run has Mephisto's configuration, or none; a later version may read settings more strictly.
        return None
