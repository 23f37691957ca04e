"""The projections there are."""

from __future__ import annotations

from .engine.projection import Projection
from .mephisto_db import MephistoDbProjection

#: Kept by every operator within each commit, and compared by every audit.
PROJECTIONS: tuple[Projection, ...] = (MephistoDbProjection(),)
