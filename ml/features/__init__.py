"""Feature rows: user profiles, item features and recommendation lists as tables, one row per entity.

What is looked up online is exactly what is built here; storing and serving it is `feature_repo`.
"""
