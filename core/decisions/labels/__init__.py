"""Decisions about the labels of items."""
