"""From tables to model inputs, fits, candidates and releases."""
