"""Interfaces that plugins implement: blueprints, architects, channels, crowd providers."""
