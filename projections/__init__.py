"""Folds of the log into tables and answers. Everything here can be thrown away and built again."""
