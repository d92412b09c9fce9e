"""Security: what an engine offers, as every connection is told before anybody logs in.

Asked on the plain listeners, which both engines have: a Kafka serves these APIs whether a listener
is secured or not. So the embedded broker cannot begin to serve them without these tests turning
red. Then it is time to run it secured in `tests/engines/test_security.py` and its neighbours, whose
tests cannot notice it by themselves.
"""

import pytest

from bus.broker import ApiKey
from tests.broker.raw import Raw
from tests.engines.deviations import lacking

pytestmark = lacking("there is neither TLS, login nor ACL")


async def offered(raw: Raw) -> set[int]:
    """Return the keys of all APIs that are served."""
    about = {"client_software_name": "tests", "client_software_version": "1"}
    answer = await raw.ask(ApiKey.API_VERSIONS, 3, **about)
    return {one.api_key for one in answer.api_keys}


@pytest.mark.parametrize(
    "key",
    [pytest.param(17, id="SaslHandshake"), pytest.param(36, id="SaslAuthenticate")],
)
async def test_login(raw: Raw, key: int) -> None:
    """One can log in."""
    assert key in await offered(raw)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(29, id="DescribeAcls"),
        pytest.param(30, id="CreateAcls"),
        pytest.param(31, id="DeleteAcls"),
    ],
)
async def test_rules(raw: Raw, key: int) -> None:
    """Rules who may do what can be asked for, made and deleted."""
    assert key in await offered(raw)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(50, id="DescribeUserScramCredentials"),
        pytest.param(51, id="AlterUserScramCredentials"),
    ],
)
async def test_users(raw: Raw, key: int) -> None:
    """Users and their passwords can be described and altered."""
    assert key in await offered(raw)
