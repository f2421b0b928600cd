"""Exact top-N, similar items and users, and the reason behind each recommendation."""
