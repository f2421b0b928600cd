"""What `benchmarks.publish` stands on: a world to publish, readers that ask without a pause, servers."""
