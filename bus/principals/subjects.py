"""The subject of a certificate as text, as Java writes it (RFC 2253), for the rules to name it.

Read off the certificate's own bytes (X.690, RFC 5280 section 4.1), because OpenSSL's names for the
parts are others, and their order too. Only certificates that OpenSSL has verified come here.
"""

from collections.abc import Iterator

_NAMES = {
    "2.5.4.3": "CN",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
}
_TEXTS = {12: "utf-8", 19: "ascii", 20: "latin-1", 22: "ascii", 28: "utf-32-be", 30: "utf-16-be"}
_ESCAPED = ',=+<>#;"\\'  # Java escapes "=" and "#" too
_VERSION = 0xA0  # the first field's tag, where it is there

Element = tuple[int, bytes, bytes]  # tag, contents, and all of it


def subject(certificate: bytes) -> str:
    """Return the subject of a certificate.

    Args:
        certificate: in DER.

    Raises:
        ValueError: it is no certificate.
    """
    try:
        outer = next(_elements(certificate))
        fields = list(_elements(next(_elements(outer[1]))[1]))
        start = 1 if fields[0][0] == _VERSION else 0
        # After the version: serial number, signature, issuer, validity, subject.
        name = fields[start + 4][1]
        relative = [
            "+".join(_attribute(one[1]) for one in _elements(each[1])) for each in _elements(name)
        ]
    except (IndexError, StopIteration, UnicodeDecodeError) as error:
        raise ValueError("this is no certificate") from error
    return ",".join(reversed(relative))


def _elements(data: bytes) -> Iterator[Element]:
    at = 0
    while at < len(data):
        start, tag, size = at, data[at], data[at + 1]
        at += 2
        if size > 127:
            octets = size & 127
            size = int.from_bytes(data[at : at + octets])
            at += octets
        if at + size > len(data):
            raise ValueError("this is no certificate")
        yield tag, data[at : at + size], data[start : at + size]
        at += size


def _attribute(data: bytes) -> str:
    kind, value = _elements(data)
    number = _number(kind[1])
    tag, contents, whole = value
    name = _NAMES.get(number)
    if name is None or tag not in _TEXTS:
        return f"{name or number}=#{whole.hex()}"
    return f"{name}={_escaped(contents.decode(_TEXTS[tag]))}"


def _number(data: bytes) -> str:
    first = 2 if data[0] >= 80 else data[0] // 40
    parts, value = [first, data[0] - 40 * first], 0
    for byte in data[1:]:
        value = value << 7 | byte & 127
        if byte < 128:
            parts.append(value)
            value = 0
    return ".".join(map(str, parts))


def _escaped(text: str) -> str:
    made = "".join(f"\\{one}" if one in _ESCAPED else one for one in text).replace("\0", "\\00")
    if made.startswith(" "):
        made = f"\\{made}"
    if made.endswith(" ") and text != " ":
        made = f"{made[:-1]}\\ "
    return made
