"""The projections there are."""

from __future__ import annotations

from .mephisto_db import MephistoDbProjection
from .projection import Projection

#: Kept by every operator within each commit, and compared by every audit.
PROJECTIONS: tuple[Projection, ...] = (MephistoDbProjection(),)
