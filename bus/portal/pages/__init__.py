"""The pages: what each shows is pure, and knows nothing of HTTP."""

from bus.portal.page import Page
from bus.portal.pages import (
    contract,
    contracts,
    disclosures,
    grants,
    letters,
    members,
    node,
    overview,
    subscribers,
    tail,
    topics,
    traffic,
)

PAGES: tuple[Page, ...] = (
    overview.PAGE,
    topics.PAGE,
    subscribers.PAGE,
    letters.PAGE,
    contracts.PAGE,
    contract.PAGE,
    members.PAGE,
    grants.PAGE,
    tail.PAGE,
    disclosures.PAGE,
    traffic.PAGE,
    node.PAGE,
)
"""All pages, in the order in which the menu has them."""
