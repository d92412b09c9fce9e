"""`stadtbus verify`: whether events are what their source signed, with nothing but public keys."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bus.cli.edge import emit, say
from bus.cli.options import Format, Output
from bus.errors import InvalidInput, NotVerified, UndecodableEvent

if TYPE_CHECKING:
    from bus.trust.exported import Exported
    from bus.trust.signed import Signed

ANSWERED_NO = 3
SUFFIX = ".pem"


def verify(
    file: Annotated[
        Path, typer.Argument(help="what `stadtbus topic export` wrote; - for standard input")
    ],
    key: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE|DIR",
            help=f"a source's public key, or a folder of them (*{SUFFIX}); may be given again",
        ),
    ],
    schema: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="the contract's schema (.avsc) [default: the one in the file]"
        ),
    ] = None,
    output: Output = Format.table,
) -> None:
    """Check that events are what the holder of a key signed, without any bus.

    Of a feed's event it says what was given, which the signature proves, and what was withheld.
    Whose the keys are is not checked: give those that you trust. The exit code is 3 if one event
    does not verify.
    """
    from bus.cli.output import show
    from bus.trust.exported import Exported

    keys = _keys(key)
    text = _read(schema) if schema else None
    rows = []
    for number, exported in _records(file):
        given = Exported(exported.record, text or exported.schema)
        row = _judged(given, keys, f"{file}:{number}")
        rows.append(row)
        if output is Format.json:
            emit({"v": 1, **row})
    if not rows:
        raise InvalidInput("holds no record", where=str(file))
    if output is Format.table:
        columns = ("place", "verified", "reason", "source", "key_file", "given", "withheld")
        show("events", rows, columns, output)
    wrong = sum(not row["verified"] for row in rows)
    say(f"{len(rows) - wrong} verified, {wrong} not")
    if wrong:
        raise typer.Exit(ANSWERED_NO)


def _judged(
    exported: "Exported", keys: "Mapping[str, tuple[str, bytes]]", where: str
) -> dict[str, Any]:
    from bus.cli.edge import explain
    from bus.cli.output import printable
    from bus.errors import InvalidSchema
    from bus.trust.checking import verified

    record = exported.record
    row: dict[str, Any] = {"place": f"{record.topic}-{record.partition} at {record.offset}"}
    try:
        signed = verified(record, exported.schema, {name: key for name, (_, key) in keys.items()})
    except (NotVerified, UndecodableEvent) as error:
        error.where = ": ".join(part for part in (where, error.where) if part)
        say(printable(explain(error)))
        return row | {"verified": False, "reason": str(error.reason), "what": error.what}
    except InvalidSchema as error:
        raise InvalidSchema(error.what, where=where, remedy=error.remedy) from error
    return row | _proven(signed, exported, keys)


def _proven(
    signed: "Signed", exported: "Exported", keys: "Mapping[str, tuple[str, bytes]]"
) -> dict[str, Any]:
    """Return what the signature proves."""
    from bus.cli.when import iso_ms

    claim, mark = signed.claim, signed.mark
    return {
        "verified": True,
        "id": claim.id.decode(errors="replace"),
        "source": claim.source.decode(errors="replace"),
        "time": claim.time.decode(errors="replace"),
        "signed_at": iso_ms(mark.at_ms),
        "key_id": mark.key_id,
        "key_file": keys[mark.key_id][0],
        "given": signed.given,
        "withheld": signed.withheld,
        "data": _data(signed, exported),
    }


def _data(signed: "Signed", exported: "Exported") -> dict[str, Any] | None:
    """Return the fields that were given, decoded; None for a tombstone."""
    from bus.avro.codec import Codec
    from bus.avro.text import to_json
    from bus.event import unframe
    from bus.trust.checking import projection

    if exported.record.value is None or exported.schema is None:
        return None
    _, data = unframe(exported.record.value)
    made = projection(exported.schema)
    decoded = Codec(made.feed if signed.withheld else made.text).decode(data)
    return {name: to_json(value) for name, value in decoded.items() if name in signed.given}


def _keys(paths: list[Path]) -> dict[str, tuple[str, bytes]]:
    """Return public keys by their names, each with the file that it came from."""
    from bus.trust.keys import read_public
    from bus.trust.signer import key_id_of

    keys = {}
    for path in paths:
        files = sorted(path.glob(f"*{SUFFIX}")) if path.is_dir() else [path]
        if not files:
            raise InvalidInput(f"has no public key, *{SUFFIX}, in it", where=str(path))
        for file in files:
            public = read_public(file)
            keys[key_id_of(public)] = (file.name, public)
    return keys


def _records(file: Path) -> "Iterator[tuple[int, Exported]]":
    from bus.cli.lines import opened
    from bus.trust.exported import read

    with opened(file) as stream:
        try:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    yield number, _placed(read, line, f"{file}:{number}")
        except UnicodeDecodeError as error:
            raise InvalidInput(f"is not UTF-8: {error.reason}", where=str(file)) from error


def _placed(read: Any, line: str, where: str) -> "Exported":
    try:
        found: Exported = read(line)
    except InvalidInput as error:
        raise InvalidInput(error.what, where=where, remedy=error.remedy) from error
    return found


def _read(schema: Path) -> str:
    try:
        return schema.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InvalidInput(f"cannot be read: {error}", where=str(schema)) from error
