"""Keys in files: kept by their owner, never overwritten, never read where others can."""

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bus.errors import Conflict, InvalidKey
from bus.trust.keys import FileSigner, make, public_fault, public_of, public_text, read_public
from bus.trust.signer import Signer, key_id_of, verifies


def secret() -> bytes:
    return b"open sesame"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "city.key"


@pytest.mark.parametrize("passphrase", [None, secret()])
def test_a_key_is_made_and_signs(file: Path, passphrase: bytes | None) -> None:
    made = make(file, passphrase)
    assert file.stat().st_mode & 0o777 == 0o600
    signer: Signer = FileSigner.open(file, secret)
    public = read_public(file.with_suffix(".pem"))
    assert signer.key_id == made.key_id == key_id_of(public)
    assert verifies(public, b"message", signer.sign(b"message"))
    assert (b"ENCRYPTED" in file.read_bytes()) is (passphrase is not None)


def test_openssl_reads_both_halves(file: Path) -> None:
    make(file)
    for arguments in (["-in", str(file)], ["-pubin", "-in", str(file.with_suffix(".pem"))]):
        command = ["openssl", "pkey", *arguments, "-noout", "-text"]
        done = subprocess.run(command, text=True, capture_output=True)
        assert "ED25519" in done.stdout, done.stderr


@pytest.mark.parametrize("there", ["city.key", "city.pem"])
def test_no_key_is_ever_overwritten(file: Path, there: str) -> None:
    place = file.with_name(there)
    place.write_text("mine", encoding="utf-8")
    with pytest.raises(Conflict, match="never overwritten"):
        make(file)
    assert [one.name for one in file.parent.iterdir()] == [there]
    assert place.read_text(encoding="utf-8") == "mine"


def test_the_public_halfs_name_is_none_for_a_private_key(file: Path) -> None:
    with pytest.raises(InvalidKey, match=r"city\.key"):
        make(file.with_suffix(".pem"))


def test_an_empty_passphrase_is_refused(file: Path) -> None:
    with pytest.raises(InvalidKey, match="empty"):
        make(file, b"")
    assert not file.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o620, 0o601])
def test_a_key_that_others_can_read_is_refused(file: Path, mode: int) -> None:
    make(file)
    file.chmod(mode)
    with pytest.raises(InvalidKey, match="chmod 600"):
        FileSigner.open(file)


def test_a_key_in_a_folder_that_all_may_write_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    make(folder / "city.key")
    folder.chmod(0o777)
    with pytest.raises(InvalidKey, match="chmod o-w"):
        FileSigner.open(folder / "city.key")
    folder.chmod(0o1777)  # as /tmp: nobody can take another one's files away
    FileSigner.open(folder / "city.key")


def test_a_passphrase_is_missing_or_wrong(file: Path) -> None:
    make(file, secret())
    with pytest.raises(InvalidKey, match="has a passphrase"):
        FileSigner.open(file)
    with pytest.raises(InvalidKey, match="passphrase is wrong"):
        FileSigner.open(file, lambda: b"guess")


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\0" * 100, b"-----BEGIN PRIVATE KEY-----"])
def test_what_is_no_key_is_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(InvalidKey, match="no private key"):
        FileSigner.open(file)
    with pytest.raises(InvalidKey):
        read_public(file)


def test_a_key_of_another_kind_is_refused(file: Path) -> None:
    other = generate_private_key(SECP256R1())
    file.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    file.chmod(0o600)
    with pytest.raises(InvalidKey, match="another kind"):
        FileSigner.open(file)


def test_a_private_key_is_not_taken_for_a_public_one(file: Path) -> None:
    make(file)
    with pytest.raises(InvalidKey, match=r"gives to nobody.*city\.pem"):
        read_public(file)


def test_a_file_that_is_not_there(file: Path) -> None:
    for read in (FileSigner.open, read_public):
        with pytest.raises(InvalidKey, match="cannot be read"):
            read(file)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidKey, match="cannot be written"):
        make(tmp_path / "file" / "city.key")


def test_a_public_key_as_text(file: Path) -> None:
    public = make(file).public
    assert public_of(public_text(public)) == public
    for text in ("", "?", "AAAA", public_text(public) + "\n"):
        with pytest.raises(ValueError, match=r"base64|32 bytes"):
            public_of(text)


P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


def on_curve(y: int) -> tuple[int, int] | None:
    """The point of a y, by the curve's equation; None if there is none."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return (x, y) if not (x * x - square) % P else None


def doubled(point: tuple[int, int]) -> tuple[int, int]:
    x, y = point
    cross = D * x * x * y * y % P
    return (
        2 * x * y * pow(1 + cross, -1, P) % P,
        (y * y + x * x) * pow(1 - cross, -1, P) % P,
    )


@pytest.mark.parametrize("sign", [0, 0x80])
@pytest.mark.parametrize(
    "text",
    [
        "00" * 32,
        "01" + "00" * 31,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    ],
)
def test_a_point_of_low_order_is_nobodys_key(text: str, sign: int) -> None:
    raw = bytes.fromhex(text)
    point = on_curve(int.from_bytes(raw, "little") % P)
    assert point is not None
    assert doubled(doubled(doubled(point))) == (0, 1)  # eight times it is the neutral element
    assert "low order" in public_fault(raw[:-1] + bytes([raw[-1] | sign]))
