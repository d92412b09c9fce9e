"""Avro: schemas and their limits, compatibility rules, codec, and the guard before it; all pure."""
