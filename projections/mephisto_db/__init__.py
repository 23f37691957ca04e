"""The MephistoDB view: tables under Mephisto's names, the fold that keeps them, and the reader."""

from .fold import MephistoDbProjection

__all__ = ["MephistoDbProjection"]
