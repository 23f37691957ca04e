"""The audit of a log: everything that should follow from its events, compared with what is there."""
