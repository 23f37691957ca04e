"""Lists the projections that every log keeps. Separate from them because it imports them all."""

from __future__ import annotations

from .engine.projection import Projection
from .mephisto_db import MephistoDbProjection

#: Updated by every operator within each commit, and compared by every audit.
PROJECTIONS: tuple[Projection, ...] = (MephistoDbProjection(),)
