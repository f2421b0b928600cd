"""Landing files in, checked raw tables and quarantined rows out: the input contract."""
