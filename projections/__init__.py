"""Projections: tables and answers folded from the log. Everything here can be deleted and rebuilt."""
