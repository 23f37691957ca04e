"""Aggregates the labels of several workers with crowd-kit. Needs the extra `quality`."""
