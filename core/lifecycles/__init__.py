"""One table per lifecycle, the decisions over them, and the fold. Pure: no tasks, clock, chance or files."""
