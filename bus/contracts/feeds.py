"""How feeds are called. Pure."""

_FEED, _OPEN = "feed.", "feed.open."


def open_feed(topic: str) -> str:
    """Return the topic that holds every valid event of an open contract."""
    return _OPEN + topic


def member_feed(recipient: str, topic: str) -> str:
    """Return the topic that holds what a member is granted of a restricted contract."""
    return f"{_FEED}{recipient}.{topic}"


def contract_topic(topic: str) -> str:
    """Return the contract's topic of a shared topic or a feed, whose names end with it."""
    return ".".join(topic.split(".")[-3:])
