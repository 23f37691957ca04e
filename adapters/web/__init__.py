"""A run in a browser: runs, a run live, any past moment, timelines, explanations, review and export, served from a log.

Everything shown is the answer of a pure function in `projections`; everything written goes through the same operations as
the terminal's verbs. Nothing here is needed by a run: the page reads a log that an operator writes, or a copy of one.
"""
