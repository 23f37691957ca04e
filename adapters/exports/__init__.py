"""Export formats for a run's units. Some need an extra."""
