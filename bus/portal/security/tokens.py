"""What an identity provider says of somebody, believed only if all of it is right; pure.

OpenID Connect Core 1.0, section 3.1.3.7; RFC 8725 for what JSON Web Tokens have been abused for.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from bus.errors import NotAuthenticated
from bus.portal.viewer import Role

ALGORITHMS = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
)
"""Signatures by keys of the provider alone: neither ``none`` nor what a shared secret can make."""

LONGEST_NAME = 200

_BY_ANOTHER_KEY = (InvalidKeyIdError, BadSignatureError)


class UnknownKey(NotAuthenticated):
    """A token is signed by a key that the provider did not have when it was last asked."""


def verified(
    token: str, keys: KeySet, *, issuer: str, client: str, nonce: str, now: float, skew: float
) -> Mapping[str, Any]:
    """Return the claims of an ID token.

    Args:
        token: as it was received from the provider itself.
        keys: the provider's.
        issuer: who has to have said it.
        client: to whom it has to be said.
        nonce: what this login began with.
        now: seconds since 1970.
        skew: seconds that the clocks may differ by.

    Raises:
        UnknownKey: ask the provider for its keys again.
        NotAuthenticated: it is not to be believed; says why.
    """
    try:
        read = jwt.decode(token, keys, algorithms=ALGORITHMS)
        registry = jwt.JWTClaimsRegistry(
            now=int(now),
            leeway=int(skew),
            iss={"essential": True, "value": issuer},
            sub={"essential": True},
            aud={"essential": True, "value": client},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        registry.validate(read.claims)
    except (JoseError, ValueError, TypeError) as error:
        kind = UnknownKey if isinstance(error, _BY_ANOTHER_KEY) else NotAuthenticated
        reason = getattr(error, "description", "") or "its signature is wrong"
        raise kind(f"the provider's token is not to be believed: {reason}", where=issuer) from error
    claims: Mapping[str, Any] = read.claims
    audience = claims["aud"]
    several = isinstance(audience, list) and len(audience) > 1
    if (several and "azp" not in claims) or claims.get("azp", client) != client:
        raise NotAuthenticated("the provider's token is for somebody else", where=issuer)
    if not isinstance(claims["sub"], str) or not claims["sub"]:
        raise NotAuthenticated("the provider's token names nobody", where=issuer)
    return claims


def claimed(claims: Mapping[str, Any], path: str) -> frozenset[str]:
    """Return the groups or roles that somebody has.

    Args:
        claims: what the provider says of them.
        path: the claim's name; one within another is written with dots, ``realm_access.roles``. A
            name that has dots itself is found, too.
    """
    value: Any = claims.get(path)
    if value is None:
        value = claims
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
    if isinstance(value, str):
        return frozenset({value})
    if isinstance(value, list):
        return frozenset(one for one in value if isinstance(one, str))
    return frozenset()


def role_of(groups: frozenset[str], wanted: Sequence[tuple[Role, Sequence[str]]]) -> Role:
    """Return the most that any of somebody's groups may do; nothing if none of them is known.

    Args:
        groups: as `claimed` returns them.
        wanted: which groups have which role.
    """
    held = [role for role, names in wanted if groups & set(names)]
    return max(held, default=Role.NOBODY)


def name_of(claims: Mapping[str, Any], path: str) -> str:
    """Return how somebody is called: by a claim of choice, else by what names them surely."""
    for claim in (path, "email", "sub"):
        value = claims.get(claim)
        if isinstance(value, str) and value.strip():
            return value.strip()[:LONGEST_NAME]
    return ""
