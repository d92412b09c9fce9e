"""The pages that are made from the code are those that the code makes now."""

import pytest

from ops.reference import DOCS, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_page_is_up_to_date(name: str) -> None:
    written = (DOCS / name).read_text(encoding="utf-8")
    assert written == PAGES[name](), "make it anew: python -m ops.reference"
