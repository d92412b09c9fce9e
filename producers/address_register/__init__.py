"""Publishes what changed in an address register since its last snapshot."""
