"""A broker to knock at."""

from collections.abc import Iterator

import pytest

from tests.secured import SecuredBroker


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """A broker that takes every mechanism and, if a client shows one, a certificate."""
    with SecuredBroker(
        tmp_path_factory.mktemp("secured"),
        sasl_mechanisms=("PLAIN", "SCRAM-SHA-512"),
        client_certificate="optional",
        principal_mapping="RULE:^CN=(\\w+),.*$/$1/",
    ) as broker:
        yield broker
