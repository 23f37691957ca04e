"""Commands: frozen structs that ask for a change. Data only; `core.decisions` decides on them."""
