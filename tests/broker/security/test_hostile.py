"""Whatever bytes come, they are refused as what they are, and nothing else goes wrong."""

import contextlib

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from bus.broker.security import plain
from bus.broker.security.credentials import BadLogin, Mechanism, of_salted
from bus.broker.security.scram import challenge, conclude, read_first
from bus.principals import subject

FIRST = read_first(b"n,,n=user,r=abc")
CREDENTIAL = of_salted(Mechanism.SCRAM_SHA_256, 4096, bytes(16), bytes(32))
LEAF = x509.load_pem_x509_certificate(
    trustme.CA().issue_cert("host.test", common_name="host").cert_chain_pems[0].bytes()
).public_bytes(Encoding.DER)

LIKE_SCRAM = st.lists(
    st.sampled_from(
        [b"n", b",", b"=", b"n=", b"r=", b"c=biws", b"p=", b"a=", b"=2C", b"x", b"\xff"]
    )
).map(b"".join)


@given(st.one_of(st.binary(), LIKE_SCRAM))
def test_messages(message: bytes) -> None:
    """A message is read, or refused."""
    with contextlib.suppress(BadLogin):
        read_first(message)
    with contextlib.suppress(BadLogin):
        plain.read(message)
    with contextlib.suppress(BadLogin):
        assert not conclude(challenge(FIRST, CREDENTIAL), message)


@given(st.integers(0, len(LEAF) - 1), st.binary(max_size=3), st.integers(0, 4))
def test_certificates(at: int, instead: bytes, gone: int) -> None:
    """A certificate that is not whole is read, or refused."""
    with contextlib.suppress(ValueError):
        assert isinstance(subject(LEAF[:at] + instead + LEAF[at + gone :]), str)
