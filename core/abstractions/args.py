"""Settings that all blueprints, architects and crowd providers have.

A plugin's own settings are a dataclass that extends one of these. The plugin names it in the class attribute
`ArgsClass`, and it becomes an option of a Hydra group (see `operations.registry`). The field with the underscore holds
the name of the chosen plugin; only the registry sets it.

OmegaConf reads the annotations at run time, so they must be types that it knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from omegaconf import MISSING

_REMARK = "remark"


def accepted(help_text: str, remark: str) -> dict[str, str]:
    """Return the metadata of a field that Mephisto's configurations set, and that does something else here.

    Args:
        help_text: its meaning.
        remark: what happens here instead; shown whenever it is set.
    """
    return {"help": help_text, _REMARK: remark}


def remark_of(metadata: Mapping[str, str]) -> str | None:
    """Return what happens instead of what a field does in Mephisto; None if it does that here too."""
    return metadata.get(_REMARK)


@dataclass
class BlueprintArgs:
    """Settings of every blueprint."""

    _blueprint_type: str = MISSING
    block_qualification: str | None = field(
        default=None, metadata={"help": "Workers with this qualification get no work."}
    )
    tips_location: str | None = field(
        default=None,
        metadata={"help": "A CSV file of tips with the columns header and text, for every page; it may not exist yet."},
    )


@dataclass
class ArchitectArgs:
    """Settings of every architect."""

    _architect_type: str = MISSING
    server_type: str = field(default="python", metadata={"help": "The router to run: python or node."})
    server_source_path: str | None = field(
        default=None, metadata={"help": "Folder with your own router; replaces server_type."}
    )


@dataclass
class CrowdProviderArgs:
    """Settings of every crowd provider."""

    _provider_type: str = MISSING
    requester_name: str | None = field(
        default=None, metadata={"help": "Account that offers the work; the provider's default if not set."}
    )


@dataclass
class RequesterArgs:
    """Registration of an account at a provider. A provider adds its credentials, which stay in config.yml."""

    name: str = field(default=MISSING, metadata={"help": "Name by which runs refer to the account."})
