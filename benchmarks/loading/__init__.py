"""What `benchmarks.serving` stands on: connections that ask as cheaply as they can, loads, and the servers asked."""
