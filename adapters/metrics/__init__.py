"""Figures of a living operator for Prometheus, on a port of their own, if they are asked for."""
