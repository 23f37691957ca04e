"""Shows a log in a browser: runs now, live and at any earlier position, people and decisions, review and export.

Everything shown is the result of a pure function in `projections`; everything written goes through the same operations
as the command line. No run depends on this: the pages read a log that an operator writes, or a copy of it.
"""
