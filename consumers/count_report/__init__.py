"""Keeps daily totals of counting stations."""
