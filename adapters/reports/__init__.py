"""Writes the report of a run as HTML, Markdown or LaTeX."""
