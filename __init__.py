"""Crowdsourced data collection on an event log."""
