"""Why a signed event was refused: one word each, for counting and for dead letters."""

from enum import StrEnum


class Reason(StrEnum):
    """Why an event does not count as its source's word.

    The first six follow from the record and a public key. The others need to be known besides:
    where and when it arrived, and who is who.
    """

    UNSIGNED = "unsigned"
    MALFORMED = "malformed-signature"
    OTHER_TOPIC = "other-topic"
    UNCOVERED = "uncovered-header"
    WRONG_KEY = "wrong-key"
    ALTERED = "altered"

    OTHER_PARTITION = "other-partition"
    OTHER_SUBJECT = "other-subject"
    TOO_OLD = "too-old"
    TOO_NEW = "signed-after-arrival"
    EXPIRED_KEY = "expired-key"
    REVOKED_KEY = "revoked-key"
    NOT_ENTITLED = "not-entitled"
