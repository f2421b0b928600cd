"""Graph neural networks: what they propagate over, how they are trained, the interest-graph GNN."""
