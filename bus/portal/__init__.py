"""The portal: what people see of the bus in a browser.

A page is a module in `pages`, which makes of the last survey what is shown, without HTTP. Templates
make HTML of it, `language.py` says it in the reader's language, `application.py` serves it, and
`streams.py` sends what has changed to pages that are open.
"""

from bus.portal.portal import Portal

__all__ = ["Portal"]
