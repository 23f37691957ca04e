"""A simulated crowd: workers who use a router as their browsers would, and know nothing of the operator behind it."""
