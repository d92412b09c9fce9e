"""Forms as the portal's own pages send them."""

import httpx

from bus.portal.security.cookies import VISIT
from bus.portal.security.forms import TOKEN, token


async def proof(browser: httpx.AsyncClient) -> dict[str, str]:
    """Return the field that shows that a form is one of ours, where nobody has logged in."""
    if VISIT not in browser.cookies:
        await browser.get("/node")
    return {TOKEN: token(browser.cookies[VISIT])}
