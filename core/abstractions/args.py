"""The settings that every blueprint, architect and crowd provider has.

An abstraction's own settings are a dataclass that extends one of these; it is named by the class attribute
`ArgsClass` and becomes an option of a Hydra group (see `operations.registry`). The field with the underscore holds
the name of the chosen type: the registry fills it in, nobody else sets it.

The annotations are read at run time by OmegaConf, so they must be types that it knows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from omegaconf import MISSING


@dataclass
class BlueprintArgs:
    """What every blueprint can be told."""

    _blueprint_type: str = MISSING
    block_qualification: str | None = field(
        default=None, metadata={"help": "Workers who have the qualification of this name get no work."}
    )


@dataclass
class ArchitectArgs:
    """What every architect can be told."""

    _architect_type: str = MISSING
    server_type: str = field(default="python", metadata={"help": "The router to run: python or node."})
    server_source_path: str | None = field(
        default=None, metadata={"help": "A folder with a router of your own; it takes the place of server_type."}
    )


@dataclass
class CrowdProviderArgs:
    """What every crowd provider can be told."""

    _provider_type: str = MISSING
    requester_name: str | None = field(
        default=None, metadata={"help": "The account that offers the work; the provider's own default if not set."}
    )


@dataclass
class RequesterArgs:
    """What an account at a provider is registered with. A provider adds its credentials; they stay in config.yml."""

    name: str = field(default=MISSING, metadata={"help": "What runs call the account by."})
