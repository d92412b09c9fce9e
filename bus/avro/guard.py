"""Reading bytes that anybody may have written: nothing is believed before it is checked.

Numbers have one encoding, lengths stay within the bytes that are there, indexes within the schema.
Whatever is wrong ends in `Malformed`, after work in proportion to the bytes given.
"""

MAX_ITEMS = 100_000
"""Items that one event may hold in all its arrays and maps, one inside the other counted apart."""

_LONGEST = 10  # bytes of the varint of a 64-bit number


class Malformed(ValueError):
    """Bytes that are not what the schema says."""


def read_long(data: bytes, at: int) -> tuple[int, int]:
    """Return the zigzag varint at a position and the position after it.

    Raises:
        Malformed: it is cut off, longer than its number needs, or above 64 bits.
    """
    try:
        byte = data[at]
        if byte < 0x80:
            return (byte >> 1) ^ -(byte & 1), at + 1
        start, number, shift = at, byte & 0x7F, 7
        while True:
            at += 1
            byte = data[at]
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
            if at - start >= _LONGEST - 1:
                raise Malformed("a number is longer than ten bytes")
    except IndexError:
        raise Malformed("the bytes end within a number") from None
    if byte == 0:
        raise Malformed("a number is written longer than it has to be")
    if number >= 1 << 64:
        raise Malformed("a number has more than 64 bits")
    return (number >> 1) ^ -(number & 1), at + 1


def read_int(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of at most 32 bits and the position after it.

    Raises:
        Malformed: as `read_long`, or it has more bits.
    """
    number, at = read_long(data, at)
    if not -(1 << 31) <= number < 1 << 31:
        raise Malformed(f"{number} has more than 32 bits")
    return number, at


def read_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    """Return bytes that their length is written before, and the position after them.

    Raises:
        Malformed: the length is negative, or goes past the end.
    """
    size, at = read_long(data, at)
    end = at + size
    if size < 0 or end > len(data):
        raise Malformed(f"a length of {size} bytes goes past the end")
    return data[at:end], end


def read_index(data: bytes, at: int, count: int) -> tuple[int, int]:
    """Return the index of a union's branch or an enum's symbol, and the position after it.

    Raises:
        Malformed: there is no such branch or symbol.
    """
    index, at = read_long(data, at)
    if not 0 <= index < count:
        raise Malformed(f"index {index} is not one of {count}")
    return index, at


def read_block(data: bytes, at: int) -> tuple[int, int]:
    """Return how many items follow in a block of an array or map, and where they begin.

    Raises:
        Malformed: more items than bytes, or than `MAX_ITEMS`, or a size that goes past the end.
    """
    count, at = read_long(data, at)
    if count < 0:
        size, at = read_long(data, at)
        if size < 0 or at + size > len(data):
            raise Malformed(f"a block of {size} bytes goes past the end")
        count = -count
    if count > MAX_ITEMS or count > len(data) - at:
        raise Malformed(f"{count} items in {len(data) - at} bytes")
    return count, at
