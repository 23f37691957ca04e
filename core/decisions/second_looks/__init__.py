"""Decisions about work that is looked at twice."""
