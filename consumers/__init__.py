"""Programs that subscribe; each is started by itself, ``python -m consumers.<name>``."""
