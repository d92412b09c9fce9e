"""SCRAM: the server's side, against the example of RFC 7677 and a client written here."""

import base64
import hashlib
import hmac

import pytest

from bus.broker.security.credentials import BadLogin, Credential, Mechanism, of_password
from bus.broker.security.scram import challenge, conclude, read_first
from bus.broker.security.users import Users

PASSWORD = "pencil"  # of the example
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
CLIENT_NONCE, SERVER_NONCE = "rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
FIRST = f"n,,n=user,r={CLIENT_NONCE}".encode()


@pytest.fixture(scope="module")
def known() -> Credential:
    """The credential of the example's user."""
    return of_password(Mechanism.SCRAM_SHA_256, PASSWORD, salt=SALT, iterations=4096)


def answer(
    credential: Credential,
    *,
    password: str = PASSWORD,
    header: bytes = b"n,,",
    nonce: str = CLIENT_NONCE + SERVER_NONCE,
) -> bytes:
    """Return the last message of a client that knows this password."""
    asked = challenge(read_first(FIRST), credential, SERVER_NONCE)
    kind = credential.mechanism.hash
    salted = hashlib.pbkdf2_hmac(kind, password.encode(), credential.salt, credential.iterations)
    key = hmac.digest(salted, b"Client Key", kind)
    unproved = f"c={base64.b64encode(header).decode()},r={nonce}"
    signed = b",".join([asked.first.bare.encode(), asked.message, unproved.encode()])
    mask = hmac.digest(hashlib.new(kind, key).digest(), signed, kind)
    proof = bytes(one ^ other for one, other in zip(key, mask, strict=True))
    return f"{unproved},p={base64.b64encode(proof).decode()}".encode()


def test_the_example_of_rfc_7677(known: Credential) -> None:
    """Every message is that of the example (RFC 7677, section 3)."""
    asked = challenge(read_first(FIRST), known, SERVER_NONCE)
    assert asked.message == (
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    last = (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    assert answer(known) == last
    assert conclude(asked, last) == b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"p=tls-unique,,n=user,r=abc", id="channel binding is asked for"),
        pytest.param(b"y,,n=user,r=abc", id="the client can bind but saw none offered"),
        pytest.param(b"n,,m=x,n=user,r=abc", id="a mandatory extension"),
        pytest.param(b"n,,n=us=er,r=abc", id="an equals sign without an escape"),
        pytest.param(b"n,,n=us=2cer,r=abc", id="an escape in lower case"),
        pytest.param(b"n,,n=,r=abc", id="no user"),
        pytest.param(b"n,,n=user,r=", id="no nonce"),
        pytest.param(b"n,,n=user", id="nothing of a nonce"),
        pytest.param(b"n,a=other,n=user,r=abc", id="as somebody else"),
        pytest.param(b"n,,n=user,r=abc,tokenauth=true", id="by a delegation token"),
        pytest.param(b"n,,n=\xff,r=abc", id="no text"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_first_messages_that_are_refused(message: bytes) -> None:
    """What is no first message, or asks for what there is not, is refused."""
    with pytest.raises(BadLogin):
        read_first(message)


@pytest.mark.parametrize(
    ("message", "user"),
    [
        pytest.param(b"n,,n=user,r=abc", "user", id="plain"),
        pytest.param(b"n,,n=a=2Cb=3Dc,r=abc", "a,b=c", id="with comma and equals sign"),
        pytest.param("n,,n=Jürgen,r=abc".encode(), "Jürgen", id="with letters beyond ASCII"),
        pytest.param(b"n,a=user,n=user,r=abc", "user", id="as oneself"),
        pytest.param(b"n,,n=user,r=abc,x=y", "user", id="with an extension that one may ignore"),
    ],
)
def test_first_messages(message: bytes, user: str) -> None:
    """A user's name is read without its escapes."""
    assert read_first(message).user == user


def test_last_messages_that_are_refused(known: Credential) -> None:
    """A last message counts only if the password, nonce and binding are those of this login."""
    asked = challenge(read_first(FIRST), known, SERVER_NONCE)
    good = answer(known)
    for wrong in (
        answer(known, password="pencils"),
        answer(known, nonce=CLIENT_NONCE),
        answer(known, nonce=CLIENT_NONCE + SERVER_NONCE + "x"),
        answer(known, header=b"y,,"),
        good[:-8],
        good.replace(b",p=", b",p=AA"),
        good.replace(b",p=", b",p=*"),
        good.partition(b",p=")[0],
        b"garbage",
        b"",
    ):
        with pytest.raises(BadLogin):
            conclude(asked, wrong)


def test_a_nonce_with_the_clients_part_twice(known: Credential) -> None:
    """librdkafka before 2.6 says it so, Kafka takes it, and kcat of Debian 12 is built with it."""
    asked = challenge(read_first(FIRST), known, SERVER_NONCE)
    assert conclude(asked, answer(known, nonce=CLIENT_NONCE + CLIENT_NONCE + SERVER_NONCE))


def test_a_replay(known: Credential) -> None:
    """A last message is of no use for another login."""
    with pytest.raises(BadLogin):
        conclude(challenge(read_first(FIRST), known), answer(known))


class TestStrangers:
    """Who is no user is not told from one who is."""

    SECRET = bytes(32)

    @pytest.fixture
    def users(self) -> Users:
        """Two users, of different iterations and salts."""
        kind = Mechanism.SCRAM_SHA_512
        return Users(
            {
                ("a", kind): of_password(kind, "x", salt=bytes(16), iterations=4096),
                ("b", kind): of_password(kind, "x", salt=bytes(80), iterations=5000),
            },
            self.SECRET,
        )

    def test_the_challenge(self, users: Users) -> None:
        """A stranger's challenge looks like a user's, and is the same each time."""
        for name in ("c", "d", "e", "f"):
            one = users.claimed(name, Mechanism.SCRAM_SHA_512)
            assert one == users.claimed(name, Mechanism.SCRAM_SHA_512)
            assert (one.iterations, len(one.salt)) in {(4096, 16), (5000, 80)}
        assert len({users.claimed(name, Mechanism.SCRAM_SHA_512).salt for name in "cdef"}) == 4

    def test_the_secret(self, users: Users) -> None:
        """Who does not know the broker's secret cannot compute a stranger's salt."""
        other = Users({}, b"another")
        kind = Mechanism.SCRAM_SHA_256
        assert users.claimed("c", kind).salt != other.claimed("c", kind).salt

    def test_no_password(self, users: Users) -> None:
        """No password proves a stranger."""
        assert not users.proving("c").proves("")
        assert not users.proving("c").proves("x")
        assert users.proving("a").proves("x")


def test_what_is_kept(known: Credential) -> None:
    """A credential holds neither the password nor what one could log in with."""
    kept = known.salt + known.stored_key + known.server_key
    salted = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), SALT, 4096)
    assert PASSWORD.encode() not in kept
    assert salted not in kept
    assert hmac.digest(salted, b"Client Key", "sha256") not in kept
