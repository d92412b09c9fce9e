"""Members and grants on pages: looked at, asked for, and handed in as members sign it."""

import csv
import html
import io
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from bus.event import member_of
from bus.portal import Portal
from bus.portal.language import languages
from bus.portal.trust import lookups
from bus.portal.trust.words import class_word
from bus.settings import KafkaSettings, Settings
from bus.telemetry import Telemetry
from bus.trust.grants.granting import APPROVED, ASKED
from bus.trust.statements import Statement, read
from tests.engine import on_embedded
from tests.portal.forms import proof
from tests.portal.granting import (
    AUTHORITY,
    OFFICE,
    PERLESREUT,
    RINGELAI,
    TERMS,
    TOPIC,
    Journal,
    following,
    happen,
    town,
)
from tests.trust.parties import signer
from tests.waiting import until

pytestmark = pytest.mark.slow

ASKING: dict[str, Any] = {
    "topic": TOPIC,
    "recipient": OFFICE,
    "owner": RINGELAI,
    "field": ["cause", "household"],
    "row0": "cause",
    "how0": "in",
    "is0": "MOVE, BIRTH",
    "row1": "new_address.postcode",
    "how1": "prefix",
    "is1": "94",
    "purpose": "tax",
    "norm": "§ 34 Abs. 1 BMG",
    "basis": "Für die Grundsteuer.",
    "until": "2099-01-01",
}


class Reader:
    """Somebody who looks at the pages of a town's journal."""

    def __init__(self, portal: Portal, journal: Journal, http: httpx.AsyncClient) -> None:
        self.portal, self.journal, self.http = portal, journal, http

    async def text(self, path: str, status: int = 200) -> str:
        """Return a page's text, without its markup."""
        answer = await self.http.get(path)
        assert answer.status_code == status, answer.text
        return plain(answer.text)

    async def post(self, path: str, form: dict[str, Any]) -> httpx.Response:
        """Send a form as our pages do."""
        return await self.http.post(path, data=form | await proof(self.http))

    async def prepared(self, path: str, form: dict[str, Any]) -> tuple[str, Statement]:
        """Return what a page prepares: its text and the statement."""
        answer = await self.post(path, form)
        assert answer.status_code == 200, plain(answer.text)
        found = re.search(r'name="statement" value="([^"]*)"', answer.text)
        assert found is not None
        return plain(answer.text), read(json.loads(html.unescape(found[1])))


def plain(page: str) -> str:
    main = page.partition("<main")[2].partition("</main>")[0]
    return html.unescape(" ".join(re.sub(r"<[^>]*>", " ", main).split()))


@asynccontextmanager
async def reading(
    journal: Journal,
    settings: Settings,
    telemetry: Telemetry,
    kafka: KafkaSettings | None = None,
    language: str = "en",
) -> AsyncIterator[Reader]:
    headers = {"accept-language": language}
    async with (
        following(journal, settings, telemetry, kafka) as portal,
        httpx.AsyncClient(base_url=portal.url, headers=headers, timeout=30) as http,
    ):
        reader = Reader(portal, journal, http)

        async def is_complete() -> bool:
            return "still being read" not in (await http.get("/members")).text

        await until(is_complete)
        yield reader


@pytest.fixture
async def reader(settings: Settings, telemetry: Telemetry) -> AsyncIterator[Reader]:
    """A reader who reads English; an engine is not there."""
    nowhere = KafkaSettings(bootstrap="127.0.0.1:1")
    async with reading(town(), settings, telemetry, nowhere) as found:
        yield found


async def test_members_are_listed_found_and_shown(reader: Reader) -> None:
    journal = reader.journal
    assert journal.say("member-suspended", {"member": PERLESREUT}, journal.root) is None
    await until(lambda: is_there(reader, "/members", "suspended"))
    everybody = await reader.text("/members")
    for words in ("1 to 4 of 4", f"Name of {RINGELAI}", "092720140140", "municipality", "agency"):
        assert words in everybody
    for sought in ("ringelai", "0927201401", "name of de.mun.0927201401"):
        assert "1 to 1 of 1" in await reader.text(f"/members?find={RINGELAI[-12:]}"), sought
    assert "There is no such member." in await reader.text("/members?find=nowhere")
    one = await reader.text(f"/members/{RINGELAI}")
    for words in (
        "bus@town.example",
        "datenschutz@town.example",
        journal.key(RINGELAI).key_id,
        f"{RINGELAI}.meldewesen",
        "Nobody has asked for any of it.",
        "It has asked for nothing.",
    ):
        assert words in one
    assert "Decides for all under 09: § 1 BMG" in await reader.text(f"/members/{AUTHORITY}")
    assert "suspended" in await reader.text(f"/members/{PERLESREUT}")
    for path in ("/members/de.mun.000000000000", "/members/%3Cscript%3E"):
        await reader.text(path, 404)


async def is_there(reader: Reader, path: str, words: str) -> bool:
    return words in await reader.text(path)


async def test_grants_are_listed_by_who_gives_and_gets(reader: Reader) -> None:
    journal = reader.journal
    live, asked = journal.grants(), journal.asks(recipient=PERLESREUT)
    under = journal.grants(owner={"authority": AUTHORITY, "ars": "09"})
    await until(lambda: is_there(reader, "/grants", under[:12]))
    for query, names in (
        ("", {live, asked, under}),
        (f"owner={RINGELAI}", {live, asked, under}),
        (f"owner={PERLESREUT}", {under}),
        (f"owner={AUTHORITY}", {under}),
        ("recipient=name+of+de.agency", {live, under}),
        (f"recipient={PERLESREUT}", {asked}),
        ("state=live", {live, under}),
        ("state=requested", {asked}),
        ("state=nonsense", {live, asked, under}),
        ("topic=address", {live, asked, under}),
        ("topic=sensor", set()),
        (f"owner={RINGELAI}&state=live&topic=resident&page=999", {live, under}),
    ):
        page = await reader.text(f"/grants?{query}")
        assert {name for name in (live, asked, under) if name[:12] in page} == names, query
    town_page = await reader.text(f"/members/{RINGELAI}")
    gives, gets = town_page.split("What this member gets", 1)
    assert all(name[:12] in gives for name in (live, asked, under))
    assert "It has asked for nothing." in gets
    assert live[:12] in (await reader.text(f"/members/{OFFICE}")).split("What this member gets")[1]


async def test_a_grant_rests_while_a_member_is_suspended(reader: Reader) -> None:
    journal, name = reader.journal, reader.journal.grants()
    assert journal.say("member-suspended", {"member": OFFICE}, journal.root) is None
    await until(lambda: is_there(reader, "/grants", "rests"))
    assert "rests" in await reader.text(f"/grants/{name}")


@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        (
            "en",
            [
                f"Name of {OFFICE} gets data of Name of {RINGELAI}.",
                'Of "Resident\'s address changed" these fields flow: cause, household and',
                'Only events flow where "cause" is "MOVE".',
                "The purpose: taxes and dues.",
                "§ 34 Abs. 1 BMG (Für die <b>Grundsteuer</b>.)",
                "asked for approved Nach Prüfung.",
                "Cannot be read:",
            ],
        ),
        (
            "de",
            [
                f"Name of {OFFICE} bekommt Daten von Name of {RINGELAI}.",
                'Aus "Wohnadresse geändert" fließen diese Felder: cause, household und',
                "Der Zweck: Steuern und Abgaben.",
                "angefragt freigegeben Nach Prüfung.",
                "Nicht lesbar",
            ],
        ),
    ],
)
async def test_a_grant_is_told_in_plain_words(
    settings: Settings, telemetry: Telemetry, language: str, sentences: list[str]
) -> None:
    journal = town()
    name = journal.grants()
    nowhere = KafkaSettings(bootstrap="127.0.0.1:1")
    async with reading(journal, settings, telemetry, nowhere, language) as reader:
        for path in (f"/grants/{name}", f"/grants/{name[:32]}", f"/grants/{name.upper()}"):
            page = await reader.text(path)
            steps = re.sub(r"\s+", " ", re.sub(r"[0-9a-f]{32}|\d[^a-zA-Z]*", "", page))
            for words in sentences:
                assert (
                    words in page or words in steps or all(one in page for one in words.split(" "))
                ), words
        for path in ("/grants/ffff", f"/grants/{'f' * 32}", "/grants/%2e%2e"):
            await reader.text(path, 404)


@on_embedded
async def test_real_events_are_shown_as_they_would_flow(
    settings: Settings, telemetry: Telemetry, bare: KafkaSettings
) -> None:
    journal = town()
    name = journal.grants()
    moves = [{"pseudonym": f"person-{n}", "household": f"house-{n}"} for n in range(4)]
    await happen(
        bare,
        [
            {"pseudonym": "sealed-one", "household": "house-sealed", "sealed": True},
            {"pseudonym": "born", "household": "house-born", "cause": "BIRTH"},
            {"pseudonym": "far", "household": "house-far", "municipality": "092725214138"},
            *moves,
        ],
    )
    async with reading(journal, settings, telemetry, bare) as reader:
        path = f"/grants/{name}"
        masked = await reader.text(path)
        assert masked.count("a name of the recipient's own") == 3
        assert "house-" not in masked
        assert "•••" in masked
        form = {"topic": TOPIC, "reason": "before I approve", "then": path}
        assert (await reader.post("/unmask", form)).status_code == 303
        clear = await reader.text(path)
        assert clear.count("house-") == 3
        assert clear.count("MOVE") >= 3
        for hidden in ("person-", "sealed", "house-born", "house-far", "Grafenau"):
            assert hidden not in clear, hidden


async def test_what_is_asked_for_is_prepared_signed_and_handed_in(reader: Reader) -> None:
    journal = reader.journal
    form = await reader.text("/grants/new")
    assert TOPIC in form
    assert "household restricted" in await reader.text(f"/grants/new?topic={TOPIC}")
    page, statement = await reader.prepared("/grants/new", ASKING)
    assert f"Name of {OFFICE} gets data of Name of {RINGELAI}." in page
    assert "stadtbus grant ask resident.address-changed.v1 --recipient" in page
    assert statement.kind == ASKED
    assert statement.says["rows"] == [
        {"field": "cause", "in": ["MOVE", "BIRTH"]},
        {"field": "new_address.postcode", "prefix": "94"},
    ]
    assert statement.says["to"] == "2098-12-31T23:00:00Z", "the day begins in Berlin"
    file = await reader.post("/grants/statement", {"statement": json.dumps(statement.body())})
    assert file.headers["content-disposition"] == 'attachment; filename="grant-asked.json"'
    assert read(file.json()) == statement
    signed = statement.signed(journal.key(OFFICE))
    done = await reader.post("/grants/hand-in", {"statement": json.dumps(signed.body())})
    name = statement.digest.hex()
    assert (done.status_code, done.headers["location"].partition("?")[0]) == (
        303,
        f"/grants/{name[:32]}",
    )
    page = await reader.text(done.headers["location"])
    assert f"as its entry {journal.number}." in page

    step = {"grant": name, "kind": APPROVED, "why": " Nach\nPrüfung. "}
    page, statement = await reader.prepared("/grants/step", step)
    assert f"stadtbus grant approve {name[:32]} --why 'Nach Prüfung.' --sign KEYFILE" in page
    signed = statement.signed(journal.key(RINGELAI))
    done = await reader.post("/grants/hand-in", {"statement": json.dumps(signed.body())})
    assert done.headers["location"].startswith(f"/grants/{name[:32]}?")
    page = await reader.text(f"/grants/{name}")
    assert "in force" in page
    assert journal.key(RINGELAI).key_id in page
    assert "Revoke …" in page
    assert "Approve …" not in page


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"recipient": "finanzamt"}, "is no member's id"),
        ({"recipient": RINGELAI}, "is its owner, too"),
        ({"field": []}, "is no list of 1 to 256 fields"),
        ({"field": ["income"]}, 'has no field "income"'),
        ({"row0": "income"}, 'there is no field "income"'),
        ({"is0": "MOOVE"}, "is never 'MOOVE'"),
        ({"is0": ""}, "has no value, or more than one"),
        ({"how1": "prefix", "is1": "1,2"}, "has no value, or more than one"),
        ({"how0": "like"}, "there is no such condition"),
        ({"how0": "prefix", "is0": "MO"}, "cannot be asked"),
        ({"purpose": "fun"}, 'there is no purpose "fun"'),
        ({"norm": "§ 1 Erfunden"}, 'the statute "Erfunden" is not known'),
        ({"norm": "because"}, "is not written as a norm"),
        ({"basis": " "}, "has not between 1 and 2000 characters"),
        ({"until": "soon"}, "is no day"),
        ({"until": "2020-01-01"}, "ends at"),
        ({"since": "2099-01-01"}, "ends at"),
        ({"authority": AUTHORITY, "ars": "0"}, "is no beginning of an official code"),
        ({"topic": "resident.gone.v1"}, "there is no contract for this topic"),
    ],
)
async def test_what_cannot_be_asked_for_is_said_and_kept(
    reader: Reader, changes: dict[str, Any], words: str
) -> None:
    answer = await reader.post("/grants/new", ASKING | changes)
    assert answer.status_code == 400
    said = plain(answer.text)
    assert words in said
    assert "This cannot be asked for: BUS-" in said
    if "topic" not in changes:
        kept = {**ASKING, **changes}
        for name in ("recipient", "basis", "until", "is0"):
            assert f'value="{html.escape(kept[name].strip() or kept[name])}"' in answer.text


FORGED = [
    ("nobody", "signed by nobody", "one member, with a key that counts now"),
    ("stranger", "signed with a key that nobody knows", "one member, with a key that counts now"),
    ("owner", "signed by another member", "not itself"),
    ("altered", "altered after it was signed", "one member, with a key that counts now"),
    ("elsewhere", "meant for another bus", "is meant for another bus"),
    ("member", "no statement about a grant", "none about a grant"),
    ("garbage", "nothing at all", "this is no statement"),
    ("list", "JSON that is none", "has not the form"),
]


@pytest.mark.parametrize(("how", "why", "words"), FORGED, ids=[one[0] for one in FORGED])
async def test_a_forged_statement_is_refused_in_a_sentence(
    reader: Reader, how: str, why: str, words: str
) -> None:
    before = reader.journal.number
    answer = await reader.post("/grants/hand-in", {"statement": forged(reader.journal, how)})
    assert answer.status_code == 400, why
    said = plain(answer.text)
    assert "It was not taken: BUS-" in said
    assert words in said
    assert reader.journal.number == before


def forged(journal: Journal, how: str) -> str:
    """Return what somebody tries to hand in."""
    asked = journal.compose(ASKED, TERMS)
    office, city = journal.key(OFFICE), journal.key(RINGELAI)
    match how:
        case "nobody":
            body = asked.body()
        case "stranger":
            body = asked.signed(signer(4711)).body()
        case "owner":
            body = asked.signed(city).body()
        case "altered":
            body = asked.signed(office).body()
            body["text"] = body["text"].replace("cause", "corrects")
        case "elsewhere":
            body = asked.signed(office).body()
            body["text"] = body["text"].replace(journal.ledger.chain, "d" * 32)
        case "member":
            body = journal.compose("member-left", {"member": OFFICE}, office).body()
        case "list":
            body = {"text": [], "signatures": 1}
        case _:
            return "<script>alert(1)</script>"
    return json.dumps(body)


async def test_what_was_withdrawn_cannot_be_approved(reader: Reader) -> None:
    journal = reader.journal
    name = journal.asks()
    gone = {"grant": name}
    assert journal.say("grant-withdrawn", gone, journal.key(OFFICE)) is None
    approval = journal.compose(APPROVED, gone, journal.key(RINGELAI))
    answer = await reader.post("/grants/hand-in", {"statement": json.dumps(approval.body())})
    assert answer.status_code == 400
    assert "the grant is withdrawn, not requested" in plain(answer.text)


@pytest.mark.parametrize(
    "path", ["/grants/new", "/grants/step", "/grants/statement", "/grants/hand-in"]
)
async def test_a_form_from_elsewhere_is_refused(reader: Reader, path: str) -> None:
    journal = reader.journal
    before, asked = journal.number, journal.compose(ASKED, TERMS, journal.key(OFFICE))
    form = ASKING | {"kind": APPROVED, "statement": json.dumps(asked.body())}
    own = await proof(reader.http)
    for fields, headers in (
        (form, {}),
        (form | {"csrf": "0" * 64}, {}),
        (form | own, {"origin": "https://elsewhere.example"}),
        (form | own, {"sec-fetch-site": "cross-site"}),
    ):
        answer = await reader.http.post(path, data=fields, headers=headers)
        assert answer.status_code == 400
        assert "This form is out of date" in plain(answer.text)
    assert journal.number == before


async def test_steps_of_grants_that_there_are_not_are_no_pages(reader: Reader) -> None:
    name = reader.journal.asks()
    await until(lambda: is_there(reader, "/grants", name[:12]))
    for form in ({"grant": "f" * 64, "kind": APPROVED}, {"grant": name, "kind": "root"}, {}):
        assert (await reader.post("/grants/step", form)).status_code == 404


async def test_the_register_of_processing(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = reader.journal
    journal.asks()
    name = journal.grants()
    await until(lambda: is_there(reader, "/grants", name[:12]))
    for member, query, other in ((RINGELAI, "", OFFICE), (OFFICE, "?as=recipient", RINGELAI)):
        page = await reader.text(f"/members/{member}/register{query}")
        for words in ("taxes and dues", f"Name of {other}", "household (restricted)", "in force"):
            assert words in page
        answer = await reader.http.get(f"/members/{member}/register.json{query}")
        assert answer.headers["content-disposition"].endswith(f'register-{member}.json"')
        (row,) = answer.json()["activities"]
        assert (row["grant"], row["recipient_id"]) == (name[:32], OFFICE)
        file = await reader.http.get(f"/members/{member}/register.csv{query}")
        (line,) = csv.DictReader(io.StringIO(file.text))
        assert line["purpose"] == "taxes and dues"
    assert "Nothing is granted" in await reader.text(f"/members/{PERLESREUT}/register")
    for path in ("de.mun.000000000000/register", f"{RINGELAI}/register.pdf"):
        await reader.text(f"/members/{path}", 404)
    monkeypatch.setattr(lookups, "MOST_IN_PAGE", 1)
    assert "the files have more" in await reader.text(f"/members/{RINGELAI}/register")


async def test_without_the_journal_pages_say_so(
    settings: Settings, telemetry: Telemetry, client: httpx.AsyncClient
) -> None:
    for path in ("/members", "/grants"):
        await until(lambda path=path: says_away(client, path))  # type: ignore[misc]
    assert (await client.get(f"/members/{RINGELAI}")).status_code == 404


async def says_away(client: httpx.AsyncClient, path: str) -> bool:
    return "The journal cannot be read." in (await client.get(path)).text


@pytest.mark.parametrize("name", ["mun", "assoc", "dist", "state", "fed", "agency", "util"])
def test_each_kind_of_member_has_a_word(name: str) -> None:
    assert member_of(f"de.{name}.x.system") == f"de.{name}.x"
    words = {class_word(name, languages()[code]) for code in ("de", "en")}
    assert len(words) == 2
