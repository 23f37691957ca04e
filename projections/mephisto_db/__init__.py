"""The MephistoDB view: tables under Mephisto's names, the projection that maintains them, and the reader."""

from .projection import MephistoDbProjection
from .reader import MephistoDB

__all__ = ["MephistoDB", "MephistoDbProjection"]
