"""The hybrid: what several models say of a user, pooled by learned weights, then ordered by a learned ranker."""
