"""Answers for plugins of Mephisto that do not exist here, or whose site is gone: what comes closest.

Amazon Mechanical Turk closed on 2026-09-30. Its runs can still be imported; new ones need another site.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...errors import ConfigError
from ..hydra_config import AbstractionType

#: Names under which Mephisto offered Mechanical Turk.
CLOSED = frozenset({"mturk", "mturk_sandbox"})
#: Mephisto's settings for Mechanical Turk, with the nearest at the providers here.
NEAREST_SETTINGS = {
    "access_key_id": "the API key of `mephisto-es register`",
    "secret_access_key": "the API key of `mephisto-es register`",
    "allowed_locales": "the filters of Prolific, or the demographic targeting of Connect",
    "mturk_specific_qualifications": "participant groups of Prolific, or inclusion and exclusion lists of Connect",
    "task_title": "task.task_title, the study's or project's name",
    "task_description": "task.task_description",
    "task_tags": "none: these sites show no keywords",
    "task_reward": "task.task_reward",
    "assignment_duration_in_seconds": "task.assignment_duration_in_seconds, the longest time of a submission",
    "mturk_sandbox": "`mephisto-es fake connect`, or a test study of Prolific",
}


def closed_site_error(provider_type: str, settings: Iterable[str] = ()) -> ConfigError | None:
    """Return the error for a provider that is gone; None: it is not one of these.

    Args:
        provider_type: the value of `mephisto/provider`.
        settings: names of settings of that provider that are in use.
    """
    if provider_type not in CLOSED:
        return None
    used = [f"{name}: {NEAREST_SETTINGS[name]}" for name in sorted(set(settings)) if name in NEAREST_SETTINGS]
    hint = "The nearest sites are CloudResearch Connect and Prolific: see docs/providers.md"
    return ConfigError(
        f"mephisto/provider={provider_type}: Amazon Mechanical Turk closed on 2026-09-30",
        key="mephisto.provider",
        hint=f"{hint}. The nearest settings are: {'; '.join(used)}" if used else hint,
    )


#: What to choose instead of a plugin of Mephisto, by its kind and name.
NEAREST_PLUGINS = {
    (AbstractionType.ARCHITECT, "ec2"): (
        "Run the launch script on the EC2 instance itself with mephisto/architect=local, and set "
        "mephisto.architect.public_url to the address of the web server in front of it; or use "
        "mephisto/architect=heroku. Remove instance_type, subdomain and profile_name"
    ),
    (AbstractionType.PROVIDER, "inhouse"): (
        "Use mephisto/provider=mock for your own people: everybody opens the page with "
        "?worker_id=NAME&assignment_id=1 in its address"
    ),
    (AbstractionType.BLUEPRINT, "abstract_static"): "Use mephisto/blueprint=static_task",
    (AbstractionType.BLUEPRINT, "acute_eval"): (
        "Show both items with mephisto/blueprint=static_task and a comparison field in its form"
    ),
}


def hint_for_missing(kind: AbstractionType, type_name: str) -> str | None:
    """Return what to choose instead of a plugin of Mephisto; None if Mephisto has none of that name."""
    return NEAREST_PLUGINS.get((kind, type_name))
