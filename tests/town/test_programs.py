"""Publishers, subscribers, programs and commands that run in a user's folder."""

import asyncio
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bus import Event, Publisher, Subscriber
from bus.cli.app import app
from bus.errors import InvalidSettings, NotAuthorised
from tests.city import reading
from tests.running import program, run
from tests.town.conftest import GROUP, NOBODY, PUBLISHER, READINGS, SUBSCRIBER, Town, says

pytestmark = pytest.mark.slow


async def test_a_publisher_and_a_subscriber_with_their_rights(town: Town) -> None:
    async with Publisher(PUBLISHER, town.settings(PUBLISHER)) as city:
        receipt = await city.publish(READINGS, reading())
    found: list[str] = []
    async with Subscriber(GROUP, [READINGS], town.settings(SUBSCRIBER)) as agency:

        async def handle(event: Event) -> None:
            found.append(event.id)
            if event.id == receipt.id:
                agency.stop()

        await agency.run(handle)
    assert receipt.id in found


async def test_the_programs_that_are_shipped(town: Town, tmp_path: Path) -> None:
    """A city publishes counts, an agency reports them, each in its folder."""
    environment: dict[str, str] = {}
    place = town.of(PUBLISHER)
    city = await run("producers.counts", ["--limit", 3], environment, place)
    assert city.process.returncode == 0, city.talk
    assert city.reports[-1] == {"event": "done", "published": 3, "acknowledged": 3}
    wanted = set(city.ids("acknowledged"))
    database = f"sqlite:///{tmp_path}/report.db"
    arguments = ["--database", database]
    place = town.of(SUBSCRIBER)
    async with program("consumers.count_report", arguments, environment, place) as agency:
        await agency.until(lambda _: wanted <= set(agency.ids("delivered")))
        assert await agency.stop() == 0


async def test_one_without_rights_is_told_which_it_lacks(town: Town) -> None:
    with pytest.raises(NotAuthorised, match=f"{NOBODY} lacks the right Write on any topic"):
        async with Publisher(NOBODY, town.settings(NOBODY)):
            pass
    with pytest.raises(NotAuthorised, match=f"{NOBODY} lacks the right Create on the topic"):
        async with Subscriber("de.agency.niemand.x", [READINGS], town.settings(NOBODY)) as agency:
            await agency.run(lambda _: asyncio.sleep(0))


async def test_rights_are_not_those_of_others(town: Town) -> None:
    async with Publisher(PUBLISHER, town.settings(SUBSCRIBER)) as agency:
        with pytest.raises(NotAuthorised, match=f"lacks the right Write on the topic {READINGS}"):
            await agency.publish(READINGS, reading())


@pytest.mark.parametrize(
    "arguments",
    [
        ("contract", "show", READINGS),
        ("schema", "ls"),
        ("group", "lag"),
        ("dead", "ls"),
        ("tail", READINGS, "--all", "--end"),
        ("doctor",),
    ],
    ids=" ".join,
)
def test_the_administrator_runs_every_command(town: Town, arguments: tuple[str, ...]) -> None:
    says(town.stadtbus("admin", *arguments), 0)


def test_a_user_sees_what_it_may_see(town: Town) -> None:
    seen = town.stadtbus(PUBLISHER, "topic", "ls")
    says(seen, 0, READINGS)
    assert "_stadtbus.journal" not in seen.stdout
    says(town.stadtbus(NOBODY, "topic", "ls"), 0, f"none that the user {NOBODY} may see")
    says(town.stadtbus(PUBLISHER, "user", "ls"), 5, "Describe on the cluster")
    says(town.stadtbus(PUBLISHER, "acl", "ls"), 5, "Describe on the cluster")
    says(
        town.stadtbus(PUBLISHER, "acl", "add", PUBLISHER, "cluster", "*", "All"),
        5,
        "Alter on the cluster",
    )


def test_only_who_may_write_puts_schemas_in_force(town: Town, tmp_path: Path) -> None:
    schema = tmp_path / "schema.avsc"
    schema.write_text('{"type": "record", "name": "A", "fields": []}')
    asked = ("schema", "register", "town.test.v1-value", schema)
    says(town.stadtbus(PUBLISHER, *asked), 5, "may read here, but not write", "registry.writers")
    says(town.stadtbus(PUBLISHER, "schema", "check", f"{READINGS}-value", schema), 3)
    says(town.stadtbus("admin", *asked), 0)


def test_a_users_folder_is_its_own(town: Town) -> None:
    folder = town.of(PUBLISHER)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    made = {"stadtbus.toml", "client.properties", "kcat.conf", "ca.pem", "password"}
    assert made <= {file.name for file in folder.iterdir()}
    for file in (folder / name for name in made):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_no_user_gets_anothers_folder(town: Town) -> None:
    before = town.password("admin")
    here = town.of("admin")
    says(town.stadtbus("admin", "user", "add", "kurz", "--folder", here), 3, "the folder of admin")
    assert town.password("admin") == before
    says(town.stadtbus("admin", "user", "add", "kurz", "--folder", "."), 3, "the folder of admin")
    says(town.stadtbus("admin", "user", "ls"), 0)


@pytest.mark.parametrize("name", ["", ".", "../kurz", "a b", 'a"b', "a\nb", "a,b", "-x", "*", "ä"])
def test_names_that_no_settings_could_bear(town: Town, name: str) -> None:
    says(town.stadtbus("admin", "user", "add", "--", name), 2, "a user's name has letters")


def test_users_come_and_go(town: Town) -> None:
    user, folder = "de.agency.kurz.da", town.of("de.agency.kurz.da")
    made = ("user", "add", user, "--folder", folder)
    says(town.stadtbus("admin", *made, "--subscribe", READINGS), 0)
    says(town.stadtbus("admin", "acl", "ls", user), 0, READINGS, "de.agency.kurz.*")
    says(town.stadtbus("admin", *made), 3, "there is such a user", "--renew")
    before = town.password(user)
    says(town.stadtbus("admin", *made, "--renew"), 0)
    assert town.password(user) != before
    says(town.stadtbus(user, "topic", "ls"), 0, READINGS)
    says(town.stadtbus("admin", "user", "remove", user), 0, "can log in no more; 6 rules")
    says(town.stadtbus(user, "topic", "ls"), 5, "the login was refused", "kafka.password_file")
    says(town.stadtbus(user, "schema", "ls"), 5, "the registry refused the login")
    says(town.stadtbus("admin", "user", "remove", user), 6, "there is no such user")


def test_rules_come_and_go(town: Town) -> None:
    rule = ("town.rules", "topic", "sensor.*", "read", "describe-configs")
    says(
        town.stadtbus("admin", "acl", "add", *rule), 0, "town.rules may Read on the topic sensor.*"
    )
    says(town.stadtbus("admin", "acl", "add", *rule, "--deny", "--host", "192.0.2.1"), 0)
    listed = town.stadtbus("admin", "acl", "ls", "town.rules", "-o", "json").stdout
    assert listed.count('"operation": "DescribeConfigs"') == 2
    assert listed.count('"may": "may not"') == 2
    says(town.stadtbus("admin", "acl", "remove", *rule), 0, "rules taken out of force: 2")
    says(town.stadtbus("admin", "acl", "remove", *rule), 6, "there is no such rule")


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        pytest.param(("acl", "add", "x", "topc", "a", "Read"), 'no kind "topc"', id="kind"),
        pytest.param(("acl", "add", "x", "topic", "a", "Reed"), 'no operation "Reed"', id="right"),
        pytest.param(
            ("user", "add", "bericht", "--subscribe", READINGS),
            "subscribers belong to a member",
            id="subscriber of no member",
        ),
        pytest.param(("user", "add", "x"), "needs the certificate", id="nobody to hand out"),
    ],
)
def test_wrong_words_are_refused_before_anybody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], what: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, InvalidSettings)
    assert what in str(done.exception)
    assert list(tmp_path.iterdir()) == []
