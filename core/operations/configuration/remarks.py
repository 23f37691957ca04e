"""Finds settings of Mephisto that are accepted although they do something else here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import NamedTuple

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationResolutionError

from ...abstractions.args import remark_of


class Remark(NamedTuple):
    """A setting that does something else than in Mephisto."""

    key: str
    #: What happens instead.
    sentence: str

    def __str__(self) -> str:
        return f"{self.key} is accepted, but {self.sentence}"


def remarks_on(run_config: DictConfig, prefix: str = "mephisto") -> Iterator[Remark]:
    """Yield a remark for each setting that is set and does something else than in Mephisto.

    Args:
        run_config: the `mephisto` section of a configuration, or a part of it.
        prefix: the key of that part.
    """
    owner = OmegaConf.get_type(run_config)
    if not is_dataclass(owner):
        return
    for known in fields(owner):
        if known.name not in run_config or OmegaConf.is_missing(run_config, known.name):
            continue
        try:
            value = run_config[known.name]
        except InterpolationResolutionError:
            continue  # it refers to a setting of the launch script
        key, remark = f"{prefix}.{known.name}", remark_of(known.metadata)
        if isinstance(value, DictConfig):
            yield from remarks_on(value, key)
        elif remark is not None and value != known.default:
            yield Remark(key, remark)
