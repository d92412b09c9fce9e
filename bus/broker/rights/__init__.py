"""What each API may be asked by whom: a layer around the handlers, which know nothing of it."""

from bus.broker.rights.produce import withheld
from bus.broker.rights.table import guarded

__all__ = ["guarded", "withheld"]
