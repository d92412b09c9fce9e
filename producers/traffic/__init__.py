"""Replays how busy a city's streets were, in the order and pace of its records."""
