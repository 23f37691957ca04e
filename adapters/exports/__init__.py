"""A run's units in formats that other programs read, each written by a module; some need an extra."""
