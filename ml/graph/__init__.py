"""The interest graph: typed, weighted edges between users, items, interests and entities."""
