"""Watching behaviour and quality over time: drift between windows, ranking quality by day, reports for people.

Evidently takes some ten CPU seconds to import, so modules import it when they are called, not when they are named.
"""
