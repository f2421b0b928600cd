"""Evidently: drift, quality, reports."""
