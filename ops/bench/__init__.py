"""Speed and memory, as ratios to peers in one run; what is compared verifies its own data."""
