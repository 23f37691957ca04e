"""Conversion of an existing Mephisto database into a log."""
