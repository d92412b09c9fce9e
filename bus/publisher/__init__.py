"""Publishing: typed events in, receipts out once the engine has them durably."""

from bus.publisher.publisher import Publisher
from bus.publisher.stream import Receipt

__all__ = ["Publisher", "Receipt"]
