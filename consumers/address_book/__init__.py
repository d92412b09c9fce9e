"""Keeps a SQL mirror of the addresses that are in force."""
