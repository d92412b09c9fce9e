"""Programs that publish; each is started by itself, ``python -m producers.<name>``."""
