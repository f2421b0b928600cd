"""Named interest points, and how much of them each item and user holds."""
