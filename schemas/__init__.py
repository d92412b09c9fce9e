"""The contracts that are shipped: one folder each, ``<domain>/<event>/v<major>``."""
