"""Sets the number of Hypothesis examples: few, or as many as `HYPOTHESIS_PROFILE=long` asks for."""

import os

from hypothesis import HealthCheck, settings

# No deadline: examples that write files take as long as the machine's other users let them.
settings.register_profile("short", max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", settings.get_profile("short"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "short"))
