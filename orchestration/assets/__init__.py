"""Thin assets, a module per layer of the design."""
