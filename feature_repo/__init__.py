"""Feast definitions only."""
