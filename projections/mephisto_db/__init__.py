"""The MephistoDB view: tables under Mephisto's names, the fold that keeps them, and the reader."""

from .projection import MephistoDbProjection
from .reader import MephistoDB

__all__ = ["MephistoDB", "MephistoDbProjection"]
