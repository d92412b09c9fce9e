"""The traffic view on a secured node: Faust over TLS, as a user with rights of its own."""

import pytest

from bus.views.traffic import TOPIC, ViewReader
from tests.running import program, run
from tests.town.conftest import Town, says

pytestmark = pytest.mark.slow

LOADS = "mobility.traffic-load.v1"
CITY, VIEW, GUEST = (
    "de.mun.053150000000.verkehrslage",
    "de.agency.verkehr.traffic-view",
    "de.agency.verkehr.karte",
)


async def test_it_needs_no_more_than_its_rights(town: Town) -> None:
    for user, *rights in [
        (CITY, "--publish", LOADS),
        (VIEW, "--subscribe", LOADS),
        (GUEST,),
    ]:
        folder = ["--folder", town.of(user)]
        says(town.stadtbus("admin", "user", "add", user, *folder, *rights), 0)
    for user, operations in [(VIEW, ["Create", "Read", "Write"]), (GUEST, ["Read"])]:
        says(town.stadtbus("admin", "acl", "add", user, "topic", TOPIC, *operations), 0)
    asked = ["--speed", "1e9", "--limit", 108 * 3]
    city = await run("producers.traffic", asked, {}, town.of(CITY))
    assert city.process.returncode == 0, city.talk
    async with program("consumers.traffic_view", [], {}, town.of(VIEW)) as view:
        wanted = set(city.ids("acknowledged"))
        await view.until(lambda _: wanted <= set(view.ids("delivered")))
        assert await view.stop() == 0
    async with ViewReader(town.settings(GUEST).kafka) as reader:
        await reader.refresh()
        assert sum(len(window.codes) for window in reader.windows) == 324
    view_as_guest = await run("consumers.traffic_view", [], {}, town.of(GUEST))
    assert view_as_guest.process.returncode == 5
    assert f"{GUEST} lacks the right" in view_as_guest.talk
