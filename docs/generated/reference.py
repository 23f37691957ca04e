"""The API reference: the public names of the package, each on one page."""

from __future__ import annotations

import mephisto_es


def public_reference(*names: str) -> str:
    """Return a reference of public names, in this order.

    Raises:
        LookupError: a name is not public.
    """
    unknown = set(names).difference(mephisto_es.__all__)
    if unknown:
        raise LookupError(f"mephisto_es has no public name {', '.join(sorted(unknown))}")
    return "\n\n".join(f"::: mephisto_es.{name}" for name in names)


def all_errors() -> str:
    """Return a reference of every public error."""
    return public_reference(*(name for name in mephisto_es.__all__ if name.endswith("Error")))
