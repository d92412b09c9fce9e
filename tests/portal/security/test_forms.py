"""Forms are taken from our own pages alone."""

import pytest
from starlette.datastructures import Headers

from bus.portal.security.forms import LARGEST, fields, from_here, genuine, token
from tests.portal.security.conftest import PASSWORD, Reader

OWN = "https://bus.town.example"


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        pytest.param({}, True, id="a browser that says nothing"),
        pytest.param({"origin": OWN}, True, id="ours"),
        pytest.param({"origin": f"{OWN}:443"}, True, id="with its port"),
        pytest.param({"origin": OWN, "sec-fetch-site": "same-origin"}, True, id="ours, twice"),
        pytest.param({"origin": "null"}, False, id="none"),
        pytest.param({"origin": "https://evil.example"}, False, id="another"),
        pytest.param({"origin": "https://bus.town.example.evil.example"}, False, id="alike"),
        pytest.param({"origin": "http://bus.town.example"}, False, id="without TLS"),
        pytest.param({"origin": f"{OWN}:8443"}, False, id="another port"),
        pytest.param({"origin": "https://[::bad"}, False, id="nonsense"),
        pytest.param({"sec-fetch-site": "cross-site"}, False, id="from another site"),
        pytest.param({"sec-fetch-site": "same-site"}, False, id="from a sister"),
        pytest.param({"origin": OWN, "sec-fetch-site": "cross-site"}, False, id="a lie"),
    ],
)
def test_where_a_form_comes_from(headers: dict[str, str], ours: bool) -> None:
    assert from_here(Headers(headers), OWN) is ours


def test_a_token_belongs_to_one_browser() -> None:
    assert genuine(token("one"), "one")
    for given, secret in ((token("one"), "other"), ("", "one"), ("é", "one"), (token(""), "")):
        assert not genuine(given, secret)


@pytest.mark.parametrize("body", [b"a", b"\xff=1", b"a=%ff", b"&".join([b"a=1"] * 1101)])
def test_what_is_no_form(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the parser's own words
        fields(body)


def test_all_fields_are_read_in_their_order() -> None:
    assert fields(b"a=1&b=&a=%C3%A4+2") == [("a", "1"), ("b", ""), ("a", "ä 2")]
    assert fields(b"") == []


@pytest.mark.parametrize(
    ("headers", "change", "status"),
    [
        pytest.param({}, {"csrf": ""}, 400, id="without its token"),
        pytest.param({}, {"csrf": "0" * 64}, 400, id="with another's"),
        pytest.param({"origin": "https://evil.example"}, {}, 400, id="from another page"),
        pytest.param({"sec-fetch-site": "cross-site"}, {}, 400, id="from another site"),
        pytest.param({}, {"name": "x" * LARGEST}, 413, id="too large"),
    ],
)
async def test_what_another_page_sends_changes_nothing(
    reader: Reader, headers: dict[str, str], change: dict[str, str], status: int
) -> None:
    form = {"csrf": await reader.form(), "name": "viewer", "password": PASSWORD, **change}
    answer = await reader.http.post("/login", data=form, headers=headers)
    assert answer.status_code == status
    assert "stadtbus" not in answer.cookies
    assert "This form is out of date" in answer.text
    assert (await reader.http.get("/topics")).status_code == 303


async def test_another_browser_s_token_is_none(reader: Reader) -> None:
    known = await reader.form()
    reader.http.cookies.clear()
    form = {"csrf": known, "name": "viewer", "password": PASSWORD}
    assert (await reader.http.post("/login", data=form)).status_code == 400


async def test_logging_out_cannot_be_forged(reader: Reader) -> None:
    await reader.log_in("viewer")
    assert (await reader.http.post("/logout", data={"csrf": "0" * 64})).status_code == 400
    assert (await reader.http.get("/topics")).status_code == 200
