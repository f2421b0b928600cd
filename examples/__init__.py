"""Dataset files: the bundled sample and real sets."""
