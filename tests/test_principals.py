"""Who a certificate's owner is: the subject as text, and what rules make of it."""

import datetime as dt
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bus.principals import PrincipalMapping, Unmapped, subject

DN = "CN=kafka-1,OU=Water Works,O=City,C=DE"


@pytest.mark.parametrize(
    ("rules", "principal"),
    [
        pytest.param("DEFAULT", f"User:{DN}", id="the name as it is"),
        pytest.param("", f"User:{DN}", id="without rules too"),
        pytest.param("RULE:^CN=(.*?),.*$/$1/", "User:kafka-1", id="a part of it"),
        pytest.param("RULE:^CN=(.*?),OU=(.*?),.*$/$1@$2/", "User:kafka-1@Water Works", id="parts"),
        pytest.param("RULE:^CN=(.*?),.*$/$1/U", "User:KAFKA-1", id="upper case"),
        pytest.param("RULE:^.*,O=(.*?),.*$/$1/L", "User:city", id="lower case"),
        pytest.param("RULE:^CN=x,.*$/x/, RULE:^CN=(.*?),.*$/$1/", "User:kafka-1", id="the second"),
        pytest.param("RULE:^CN=x,.*$/x/,DEFAULT", f"User:{DN}", id="as it is if nothing else"),
        pytest.param(r"RULE:^CN=(.*?),.*$/a\/$1/", "User:a/kafka-1", id="a slash"),
        pytest.param("RULE:^CN=(.*?),.*$/it costs $/", "User:it costs $", id="a dollar alone"),
    ],
)
def test_mapping(rules: str, principal: str) -> None:
    """The first rule that matches the whole name counts."""
    assert PrincipalMapping(rules).principal(DN) == principal


def test_a_part_is_no_match() -> None:
    """A pattern has to match all of the name; who is not mapped is nobody."""
    with pytest.raises(Unmapped, match="no rule applies"):
        PrincipalMapping("RULE:CN=kafka-1/x/").principal(DN)


@pytest.mark.parametrize(
    "rules",
    ["default", "RULE:x", "RULE:x/y", "RULE:(/x/", "RULE:x/$1/", "RULE:x/y/X", "DEFAULT RULE:a/b/"],
)
def test_rules_that_cannot_be_read(rules: str) -> None:
    """What is no rule is refused when the broker starts, not when somebody comes."""
    with pytest.raises(ValueError, match=r".+"):
        PrincipalMapping(rules)


def certificate(name: x509.Name) -> bytes:
    """Return a certificate of its own (DER) with this subject."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody else")]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        pytest.param(
            [
                (NameOID.COUNTRY_NAME, "DE"),
                (NameOID.ORGANIZATION_NAME, "Stadt Münster"),
                (NameOID.COMMON_NAME, "zaehler"),
            ],
            "CN=zaehler,O=Stadt Münster,C=DE",
            id="the last part first",
        ),
        pytest.param(
            [(NameOID.COMMON_NAME, ' a,b+c"d\\e<f>g;h=i#j ')],
            'CN=\\ a\\,b\\+c\\"d\\\\e\\<f\\>g\\;h\\=i\\#j\\ ',
            id="escapes",
        ),
        pytest.param(
            [(NameOID.EMAIL_ADDRESS, "a@b.de"), (NameOID.COMMON_NAME, "x")],
            "CN=x,1.2.840.113549.1.9.1=#16066140622e6465",
            id="what has no name of its own",
        ),
        pytest.param(
            [(NameOID.DOMAIN_COMPONENT, "de"), (NameOID.USER_ID, "u")], "UID=u,DC=de", id="others"
        ),
        pytest.param([], "", id="nothing"),
    ],
)
def test_subjects(attributes: list[tuple[x509.ObjectIdentifier, str]], text: str) -> None:
    """The subject is written as Java writes it (RFC 2253)."""
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])
    assert subject(certificate(name)) == text


def test_a_subject_of_trustme(tmp_path: Path) -> None:
    """A real chain's certificate is read too."""
    issued = trustme.CA().issue_cert("host.test", common_name="host")
    pem = x509.load_pem_x509_certificate(issued.cert_chain_pems[0].bytes())
    text = subject(pem.public_bytes(serialization.Encoding.DER))
    assert text.startswith("CN=host,OU=Testing cert #".replace("#", "\\#"))


@pytest.mark.parametrize("data", [b"", b"\x30", b"\x30\x03abc", b"\x30\x82\xff\xff", b"garbage"])
def test_what_is_no_certificate(data: bytes) -> None:
    """What is no certificate is a clear error."""
    with pytest.raises(ValueError, match="no certificate"):
        subject(data)
