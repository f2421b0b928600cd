"""Dagster and the command line: the edge that binds everything; nothing imports it."""
