"""CSV files as they come from others: every way to be unreadable is one typed error."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from bus.errors import InvalidInput


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """Open a CSV file for the block that reads it: UTF-8, with or without a byte order mark.

    One whose name ends in ``.gz`` is unpacked on the way.

    Raises:
        InvalidInput: the file cannot be read, is not UTF-8 (the line is named) or no CSV.
    """
    try:
        with (
            _bytes(path) as packed,
            io.TextIOWrapper(packed, encoding="utf-8-sig", newline="") as file,
        ):
            yield file
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"is not UTF-8: byte {error.object[error.start]:#04x}",
            where=_line_of_bad_byte(path),
            remedy="convert the file, for example: iconv -f latin1 -t utf-8",
        ) from error
    except csv.Error as error:
        raise InvalidInput(f"is no CSV: {error}", where=str(path)) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InvalidInput(
            f"is not compressed as its name says: {error}", where=str(path)
        ) from error
    except OSError as error:
        raise InvalidInput(f"cannot be read: {error.strerror}", where=str(path)) from error


def _bytes(path: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _line_of_bad_byte(path: Path) -> str:
    with _bytes(path) as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return f"{path}:{number}"
    return str(path)
