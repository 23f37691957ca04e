"""A run in a browser: as it goes on, at any past moment, its people and decisions, review and export.

Everything shown is the answer of a pure function in `projections`; everything written goes through the same operations
as the terminal's verbs. Nothing here is needed by a run: the pages read a log that an operator writes, or a copy.
"""
