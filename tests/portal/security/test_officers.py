"""Data protection officers: each sees what concerns its member, and nobody else does."""

import logging
from contextlib import closing

import httpx
import pytest

from bus.disclosures.store import Store
from bus.portal import Portal
from bus.portal.security.database import Database
from bus.portal.security.users import User, Users
from bus.portal.viewer import Role
from bus.settings import Settings
from tests.disclosures.told import PERLESREUT, RINGELAI, TAX, WATER, event_id, told
from tests.portal.security.conftest import PASSWORD, Reader

LIST, DIGESTS = "/data/disclosures", "/data/digests?day=2026-07-01"
TOLD = [
    told(1),
    told(2, recipient=WATER),
    told(3, owner=PERLESREUT, subject="person-1"),
    told(4, owner=PERLESREUT, recipient=WATER),
]


@pytest.fixture
def officers(settings: Settings, people: None) -> None:
    """An officer of a city and one of an agency, and disclosures."""
    with closing(Database(settings.data)) as database:
        users = Users(database)
        hashed = next(one.hash for one in users.all())
        for name, member in (("ringelai", RINGELAI), ("tax", TAX)):
            users.add(User(name, Role.VIEWER, hashed))
            users.set_officer(name, member)
    with closing(Store(settings.data)) as store:
        store.add(0, [(0, TOLD)], 1)


@pytest.fixture
async def portal(officers: None, portal: Portal) -> Portal:
    """The role, started when all of that is there."""
    return portal


async def asked(portal: Portal, name: str, path: str = LIST, **query: str) -> httpx.Response:
    """Ask as a program does."""
    async with httpx.AsyncClient(base_url=portal.url, timeout=30) as http:
        return await http.get(path, params=query or None, auth=(name, PASSWORD))


def seen(answer: httpx.Response) -> list[tuple[str, str | None]]:
    assert answer.status_code == 200, answer.text
    return [(one["event"], one["subject"]) for one in answer.json()["disclosures"]]


async def test_an_owner_s_officer_sees_whom_it_was_about(portal: Portal) -> None:
    answer = await asked(portal, "ringelai")
    assert answer.json()["masked"] is False
    assert seen(answer) == [(event_id(2), "person-2"), (event_id(1), "person-1")]
    assert seen(await asked(portal, "ringelai", subject="person-1")) == [(event_id(1), "person-1")]
    assert seen(await asked(portal, "ringelai", owner=PERLESREUT)) == []


async def test_a_recipient_s_officer_asks_by_its_own_events(portal: Portal) -> None:
    assert seen(await asked(portal, "tax")) == [(event_id(3), None), (event_id(1), None)]
    assert seen(await asked(portal, "tax", event=event_id(1))) == [(event_id(1), None)]
    assert seen(await asked(portal, "tax", event=event_id(2))) == []
    assert seen(await asked(portal, "tax", subject="person-1")) == []


async def test_digests_are_of_what_concerns_the_member(portal: Portal) -> None:
    city = (await asked(portal, "ringelai", DIGESTS)).json()["digests"]
    assert {(one["recipient"], one["deliveries"]) for one in city} == {(TAX, 1), (WATER, 1)}
    agency = (await asked(portal, "tax", DIGESTS)).json()["digests"]
    assert [(one["recipient"], one["deliveries"]) for one in agency] == [(TAX, 2)]


async def test_a_reason_gives_an_officer_nothing_more(
    portal: Portal, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="stadtbus.audit"):
        assert len(seen(await asked(portal, "tax", reason="I want to see all"))) == 2
    assert "unmasked" not in caplog.text
    assert f'topic="_stadtbus.disclosures" masks=off member="{TAX}" by=""' in caplog.text


@pytest.mark.parametrize(
    ("name", "status"), [("viewer", 403), ("operator", 200), ("administrator", 200)]
)
async def test_others_need_a_role_and_see_masks(portal: Portal, name: str, status: int) -> None:
    answer = await asked(portal, name)
    assert answer.status_code == status
    assert "person-1" not in answer.text
    if status == 200:
        assert len(answer.json()["disclosures"]) == len(TOLD)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Basic"}, 401),
        ({"authorization": "Basic !!"}, 401),
        ({"authorization": "Basic dGF4Ondyb25n"}, 401),  # tax:wrong
        ({"authorization": "Bearer x"}, 401),
    ],
)
async def test_who_does_not_log_in_sees_nothing(
    portal: Portal, headers: dict[str, str], status: int
) -> None:
    async with httpx.AsyncClient(base_url=portal.url, headers=headers) as http:
        for path in (LIST, DIGESTS):
            answer = await http.get(path)
            assert answer.status_code == status
            challenge = answer.headers.get("www-authenticate", "").lower()
            assert "basic" not in challenge, "no browser is to ask for it"


async def test_who_has_no_session_is_asked_to_log_in(portal: Portal) -> None:
    async with httpx.AsyncClient(base_url=portal.url) as http:
        page = await http.get("/disclosures")
        assert (page.status_code, page.headers["location"]) == (303, "/login?then=%2Fdisclosures")


async def test_too_many_attempts_are_not_looked_at(portal: Portal) -> None:
    async with httpx.AsyncClient(base_url=portal.url, timeout=30) as http:
        answers = [await http.get(LIST, auth=("tax", "wrong")) for _ in range(30)]
    assert {answer.status_code for answer in answers} == {401, 429}


async def test_a_name_and_password_count_for_programs_alone(portal: Portal) -> None:
    assert (await asked(portal, "tax", "/disclosures")).status_code == 303
    assert (await asked(portal, "administrator", "/node")).status_code == 303


async def test_an_officer_looks_at_the_page(reader: Reader, portal: Portal) -> None:
    await reader.log_in("tax", then="/disclosures")
    page = (await reader.http.get("/disclosures")).text
    assert f"as far as it concerns {TAX}" in page
    assert page.count("not known to the recipient") == 2
    assert "Show sensitive fields" not in page
    assert (await reader.http.get("/tail/topic?topic=_stadtbus.disclosures")).status_code == 403


async def test_who_is_an_officer_no_more_sees_nothing_more(
    reader: Reader, portal: Portal, settings: Settings
) -> None:
    await reader.log_in("tax", then="/disclosures")
    assert (await reader.http.get("/disclosures")).status_code == 200
    with closing(Database(settings.data)) as database:
        Users(database).set_officer("tax", None)
    assert (await reader.http.get("/disclosures")).status_code == 303, "logged out"
    await reader.log_in("tax", then="/disclosures")
    assert (await reader.http.get("/disclosures")).status_code == 403
    assert (await asked(portal, "tax")).status_code == 403
