"""Who may look at members and grants, see events of theirs, and hand something in."""

import json
import logging
from collections.abc import AsyncIterator

import httpx
import pytest

from bus.portal import Portal
from bus.settings import KafkaSettings, Settings
from bus.telemetry import Telemetry
from bus.trust.grants.granting import ASKED
from tests.portal.granting import OFFICE, RINGELAI, TERMS, Journal, following, town
from tests.portal.security.conftest import Reader
from tests.waiting import until

pytestmark = pytest.mark.slow

FORMS = ("/grants/new", "/grants/step", "/grants/statement", "/grants/hand-in")


@pytest.fixture
def journal() -> Journal:
    """A town where an office may know who moves."""
    journal = town()
    journal.grants()
    return journal


@pytest.fixture
async def portal(
    settings: Settings, people: None, telemetry: Telemetry, journal: Journal
) -> AsyncIterator[Portal]:
    """The role, started; an engine is not there."""
    async with following(
        journal, settings, telemetry, KafkaSettings(bootstrap="127.0.0.1:1")
    ) as it:
        yield it


async def name_of_grant(reader: Reader) -> str:
    async def is_there() -> bool:
        return "in force" in (await listed(reader))

    await until(is_there)
    return (await listed(reader)).partition('href="/grants/')[2][:32]


async def listed(reader: Reader) -> str:
    """Return the rows of the list."""
    return (await reader.http.get("/grants")).text.partition("<tbody")[2]


@pytest.mark.parametrize(
    ("user", "operates"), [("viewer", False), ("operator", True), ("administrator", True)]
)
async def test_each_may_what_the_role_says(
    reader: Reader, journal: Journal, user: str, operates: bool
) -> None:
    await reader.log_in(user)
    name = await name_of_grant(reader)
    for path in ("/members", f"/members/{RINGELAI}", f"/members/{RINGELAI}/register"):
        assert (await reader.http.get(path)).status_code == 200
    page = (await reader.http.get(f"/grants/{name}")).text
    assert f"Name of {OFFICE} gets data of Name of {RINGELAI}." in page
    assert ("Events are shown to operators." in page) is not operates
    assert ("Revoke …" in page) is operates
    for path in ("/grants/new", "/grants/hand-in"):
        status = (await reader.http.get(path)).status_code
        assert status == (200 if operates else 403)
    csrf = await reader.form("/grants")
    for path in FORMS:
        answer = await reader.http.post(path, data={"csrf": csrf})
        assert (answer.status_code == 403) is not operates, path
    asked = journal.compose(ASKED, TERMS, journal.key(OFFICE))
    before = journal.number
    form = {"csrf": csrf, "statement": json.dumps(asked.body())}
    answer = await reader.http.post("/grants/hand-in", data=form)
    assert answer.status_code == (303 if operates else 403)
    assert journal.number == before + operates


async def test_who_hands_something_in_is_noted(
    reader: Reader, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    await reader.log_in("operator")
    await name_of_grant(reader)
    asked = journal.compose(ASKED, TERMS, journal.key(OFFICE))
    form = {"csrf": await reader.form("/grants"), "statement": json.dumps(asked.body())}
    with caplog.at_level(logging.INFO, "stadtbus.audit"):
        await reader.http.post("/grants/hand-in", data=form)
    wanted = 'statement handed in user="operator" address="127.0.0.1" kind=grant-asked entry='
    assert f"{wanted}{journal.number}" in caplog.text


async def test_a_stranger_sees_nothing(reader: Reader) -> None:
    for path in ("/members", f"/members/{RINGELAI}", "/grants", f"/grants/{'f' * 32}", FORMS[0]):
        answer = await reader.http.get(path)
        assert (answer.status_code, "/login" in answer.headers["location"]) == (303, True)
    async with httpx.AsyncClient(base_url=str(reader.http.base_url)) as other:
        assert (await other.get("/live/grants")).status_code == 401
    form = {"csrf": await reader.form("/login")}
    for path in FORMS:
        assert (await reader.http.post(path, data=form)).status_code == 401
