"""Texts to vectors: the only home of `transformers`."""
