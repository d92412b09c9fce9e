"""Record batches written by hand, for what no client would send."""

import struct

from crc32c import crc32c

TIME, APPENDED = 1_700_000_000_000, 1_750_000_000_000
LOG_APPEND_TIME, TRANSACTIONAL, CONTROL = 0x08, 0x10, 0x20


def sealed(
    body: bytes,
    count: int,
    *,
    base: int = 0,
    last: int | None = None,
    flags: int = 0,
    pid: int = -1,
) -> bytes:
    """Return a batch around any bytes, with a CRC that is right."""
    delta = count - 1 if last is None else last
    covered = struct.pack(">hiqqqhii", flags, delta, TIME, APPENDED, pid, 0, 0, count) + body
    return struct.pack(">qiibI", base, len(covered) + 9, 0, 2, crc32c(covered)) + covered


def at(batch: bytes, offset: int) -> bytes:
    """Return a batch moved to another offset, which its CRC does not cover."""
    return struct.pack(">q", offset) + batch[8:]


def record(delta: int, value: bytes = b"v", header: bytes | None = None) -> bytes:
    """Return a small record, with one header if a name is given."""
    inside = bytes([0, 0, delta * 2, 2]) + b"k" + bytes([len(value) * 2]) + value
    inside += b"\0" if header is None else bytes([2, len(header) * 2]) + header + b"\2h"
    return bytes([len(inside) * 2]) + inside
