"""No API is served without a right."""

from bus.broker.apis import APIS
from bus.broker.keys import ApiKey
from bus.broker.rights.table import RIGHTS


def test_each_api_has_a_right() -> None:
    """Each API that is served has its right, or is for everybody by name."""
    assert set(RIGHTS) == set(APIS) - {ApiKey.PRODUCE}
