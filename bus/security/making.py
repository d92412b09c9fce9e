"""Makes what a town lacks: an authority, certificates, the first administrator."""

import fcntl
import os
import re
import shutil
import socket
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from bus.errors import Conflict, InvalidSettings
from bus.files import replace, sync, write
from bus.security.certificates import Pair, authority, expiry, issue, names
from bus.security.clients import Access
from bus.security.folder import ADMIN, RENEW_DAYS, Folder
from bus.security.password import password
from bus.settings import Address, Settings

_HOST = re.compile(
    r"(?=.{1,253}$)(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*", re.IGNORECASE
)


def initialise(
    settings: Settings, hostnames: Sequence[str] = (), *, now: datetime | None = None
) -> list[str]:
    """Make the folder of a secured node, or what it lacks; change nothing else that is there.

    A certificate that is about to expire, or that lacks a name, is renewed.

    Args:
        settings: where the data lies, and where clients reach the node.
        hostnames: further names that clients reach it by.
        now: UTC; the clock's if None.

    Returns:
        Sentences for whoever runs it.

    Raises:
        InvalidSettings: a name or an address cannot be used, or a file cannot be written.
        Conflict: somebody else is making the folder.
    """
    now, folder = now or datetime.now(UTC), Folder(settings.data)
    wanted = _names(settings, hostnames)
    if not folder.exists:
        _places(settings)  # refused before anything is made
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
        with _alone(settings.data):
            if folder.exists:
                return [*_completed(folder, wanted, now), *_administered(settings, folder)]
            return list(_made(settings, folder, wanted, now))
    except OSError as error:
        raise InvalidSettings(
            f"cannot be secured: {error.strerror or error}",
            where=str(folder.root),
            remedy="give this user a data folder that it may write to",
        ) from error


def _made(
    settings: Settings, folder: Folder, wanted: Collection[str], now: datetime
) -> Iterator[str]:
    bootstrap, _ = _places(settings)
    if folder.draft.exists():
        shutil.rmtree(folder.draft)
        yield f"{folder.draft}: left half-made by an earlier attempt, made anew"
    signer = authority(f"Stadtbus {socket.gethostname()} {now:%Y-%m-%d}", now)
    node, secret = issue(signer, wanted, now), password()
    access = _access(settings, secret, signer.certificate)
    files = {
        folder.ca: signer.certificate,
        folder.ca_key: signer.key,
        folder.certificate: node.certificate,
        folder.key: node.key,
        folder.password: password(),
        folder.token: password(),
        folder.admin_new: b"",
        **{folder.admin / name: content for name, content in access.files().items()},
    }
    for made in (folder.draft, folder.draft / folder.admin.name):
        made.mkdir(mode=0o700)
    for file, content in files.items():
        write(folder.draft / file.relative_to(folder.root), content)
    sync(folder.draft / folder.admin.name)
    sync(folder.draft)
    folder.draft.rename(folder.root)
    sync(settings.data)
    yield f"{folder.root}: made an authority, and a certificate for {', '.join(sorted(wanted))}"
    yield f"{folder.admin}: how the administrator `{ADMIN}` gets in; `cd` there, or copy it"
    if settings.registry.listen.is_loopback and not Address.parse(bootstrap).is_loopback:
        yield (
            f"! registry.listen {settings.registry.listen}: clients elsewhere reach the broker, "
            f"but not the registry; set another --registry-listen, and say so in {folder.admin}"
        )
    yield f"{folder.ca_key}: signs certificates; keep a copy of it, or it alone, somewhere safe"


def _access(settings: Settings, secret: bytes, ca: bytes) -> Access:
    """Return how the administrator gets in."""
    bootstrap, registry = _places(settings)
    return Access(
        bootstrap=bootstrap,
        registry=registry,
        mechanism=next(iter(settings.broker.sasl_mechanisms), "SCRAM-SHA-512"),
        user=ADMIN,
        password=secret.decode().strip(),
        ca=ca.decode(),
    )


def _administered(settings: Settings, folder: Folder) -> Iterator[str]:
    """Make the administrator's folder anew if somebody says that it was lost, by `admin.new`."""
    if not folder.admin_new.exists() or folder.admin_password.exists():
        return
    files = dict(_access(settings, password(), folder.ca.read_bytes()).files())
    folder.admin.mkdir(mode=0o700, exist_ok=True)
    # The password comes last: without it, all is made anew.
    last = folder.admin_password.name
    for name in sorted(files, key=lambda name: name == last):
        replace(folder.admin / name, files[name])
    yield f"{folder.admin}: made anew; its password counts from the next start of the node"


def _completed(folder: Folder, wanted: Collection[str], now: datetime) -> Iterator[str]:
    yield f"{folder.root}: is there already, and stays as it is"
    for file in (folder.password, folder.token):
        if not file.exists():
            write(file, password())
            yield f"{file}: was missing, made anew"
    key = folder.key.read_bytes() if folder.key.exists() else None
    if key is None or not folder.certificate.exists():
        yield _renewed(folder, wanted, now, key, "was missing")
        return
    left, borne = expiry(folder.certificate) - now, names(folder.certificate.read_bytes())
    if lacking := sorted(set(wanted) - borne):
        yield _renewed(folder, borne | set(wanted), now, key, f"lacked {', '.join(lacking)}")
    elif left < timedelta(days=RENEW_DAYS):
        yield _renewed(folder, borne, now, key, f"had {max(left.days, 0)} days left")
    else:
        yield f"{folder.certificate}: counts for {left.days} more days"


def _renewed(
    folder: Folder, borne: Collection[str], now: datetime, key: bytes | None, why: str
) -> str:
    """Renew the node's certificate; the one before it counts until the new one is in its place."""
    for file in (folder.ca, folder.ca_key):
        if not file.exists():
            raise InvalidSettings(
                f"is needed to renew the node's certificate, which {why}",
                where=str(file),
                remedy="bring it back for as long as this command runs",
            )
    signer = Pair(folder.ca.read_bytes(), folder.ca_key.read_bytes())
    try:
        node = issue(signer, borne, now, key=key)
    except (ValueError, TypeError) as error:
        raise InvalidSettings(
            "the authority's files, or the node's key, cannot be used: they are damaged, encrypted "
            "or of another kind",
            where=f"{folder.ca}, {folder.ca_key}, {folder.key}",
            remedy="bring back what --init-security made; without node.key another one is made",
        ) from error
    if key is None:
        replace(folder.key, node.key)
    replace(folder.certificate, node.certificate)
    return f"{folder.certificate}: {why}, renewed"


def _names(settings: Settings, given: Sequence[str]) -> frozenset[str]:
    """Return the names that the node's certificate shall bear."""
    for name in given:
        if not _is_host(name):
            raise InvalidSettings(
                f'"{name}" is no host\'s name and no address',
                where="--hostname",
                remedy="give it without a port, such as bus.town.example",
            )
    listeners = (settings.broker, settings.registry, settings.portal, settings.ops)
    places = [one.listen for one in listeners]
    if settings.broker.advertise is not None:
        places.append(settings.broker.advertise)
    hosts = [place.host for place in places if not place.is_everywhere]
    known = filter(_is_host, (socket.gethostname(), *hosts))
    return frozenset(map(_canonical, ("localhost", "127.0.0.1", "::1", *known, *given)))


def _canonical(name: str) -> str:
    try:
        return str(ip_address(name))
    except ValueError:
        return name.lower()


def _is_host(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return _HOST.fullmatch(name) is not None
    return True


def _places(settings: Settings) -> tuple[str, str]:
    """Return where clients find the broker and the registry."""
    broker = settings.broker.advertise or settings.broker.listen
    registry = settings.registry.listen
    if registry.is_everywhere:
        registry = Address(host=broker.host, port=registry.port)
    for place, setting in ((broker, "broker"), (registry, "registry")):
        if place.is_everywhere or not place.port:
            raise InvalidSettings(
                f"clients cannot be told to go to {place}",
                where=f"{setting}.listen",
                remedy="choose a port, and name the host that clients reach by --broker-advertise "
                "HOST:PORT",
            )
    return str(broker), f"https://{registry}"


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    """Keep others from making the same folder at the same time."""
    opened = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise Conflict("somebody else is securing this node just now", where=str(data)) from error
    finally:
        os.close(opened)
