"""Who may ask, how much, and what was signed: keys, limits, the guard in front of every route, signed texts."""
