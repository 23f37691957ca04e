"""Requests that other processes send to a running operator, and their execution."""
