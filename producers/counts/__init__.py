"""Publishes what a city's bicycle counters have counted."""
