"""What reviews say and how far they can be trusted: sentiment, credibility, and edges weighed by both."""
