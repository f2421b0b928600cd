"""The feature store: what is known of users and items, as it was on any day and as it is now, kept by Feast.

Feast takes some ten CPU seconds to import, so `publish`, `lookup` and `server` import it
when they are called, not when they are named.
"""
