"""Long campaigns that break things on purpose; each is bounded, seeded and prints its seed."""
