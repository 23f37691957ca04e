"""The audit of a log: compares everything that follows from its events with what is stored."""
