"""Writes the files that a new task starts from."""
