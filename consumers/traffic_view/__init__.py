"""Keeps a view of traffic load: what was observed of each segment in each quarter of an hour."""
