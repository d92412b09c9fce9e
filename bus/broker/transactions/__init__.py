"""Kafka transactions: their coordinator, and what ends a transaction."""
