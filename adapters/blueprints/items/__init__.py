"""Checks the items of a task, and chooses those that get more answers."""
