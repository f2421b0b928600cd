"""Triples about items: given ones and those in item attributes."""
