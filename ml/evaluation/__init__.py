"""One harness: global time split, full ranking, segments, intervals, gate."""
