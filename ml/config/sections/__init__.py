"""A file per section of a profile. `ml.config.pipeline` puts them together, and is where they are imported from."""
