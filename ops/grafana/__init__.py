"""Dashboards for Grafana, made from one source: ``python -m ops.grafana`` writes them."""
