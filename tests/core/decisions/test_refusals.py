"""Every reason has a text for the worker's page."""

from __future__ import annotations

import pytest

from mephisto_es.core.decisions.refusals import refusal_text
from mephisto_es.events.engagement import RefusalReason


@pytest.mark.parametrize("reason", RefusalReason)
def test_a_reason_has_a_text_of_its_own(reason: RefusalReason) -> None:
    others = {refusal_text(other) for other in RefusalReason if other is not reason}
    assert refusal_text(reason) not in others
    assert refusal_text(reason).endswith(".")
