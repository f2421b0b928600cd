"""What we claim, measured: each module prints its table (`python -m benchmarks.NAME`)."""
