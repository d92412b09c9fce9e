"""The folder of a secured node, and the settings that come of it."""

from dataclasses import dataclass
from pathlib import Path

from bus.errors import InvalidSettings
from bus.files import replace
from bus.security.password import password
from bus.settings import BrokerSettings, KafkaSettings, Mechanism, Settings, secret

ADMIN = "admin"
"""The first administrator."""

OWN = "stadtbus"
"""The node's own user on its own broker, whoever else settings let it be elsewhere."""

RENEW_DAYS = 30
"""A node's certificate that has fewer days left is to be renewed."""

_STRONGEST: tuple[Mechanism, ...] = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")


class Folder:
    """Where everything lies in ``<data>/security``.

    Args:
        data: the node's data folder.
    """

    def __init__(self, data: Path) -> None:
        self.root = data / "security"
        self.draft = data / "security.new"
        """Where it is made; what a crash left of it is made anew."""
        self._at(self.root)

    def _at(self, root: Path) -> None:
        self.ca, self.ca_key = root / "ca.pem", root / "ca.key"
        self.certificate, self.key = root / "node.pem", root / "node.key"
        self.password, self.token = root / "stadtbus.password", root / "ops.token"
        self.admin = root / "admin"
        self.admin_password = self.admin / "password"
        self.admin_new = root / "admin.new"
        """Says that the administrator's password is to be set when the broker starts."""

    @property
    def exists(self) -> bool:
        """Whether this node was secured."""
        return self.root.is_dir()

    def check(self) -> None:
        """Refuse a folder that lacks a file, or that others can read.

        The authority's key and the administrator's folder may be kept elsewhere.

        Raises:
            InvalidSettings: which it is.
        """
        for file in (self.ca, self.certificate, self.key, self.password, self.token):
            if not file.is_file():
                raise InvalidSettings(
                    "this file is missing, so the node cannot be secured as it was",
                    where=str(file),
                    remedy="bring it back, or let `stadtbus serve --init-security` make it anew",
                )
        if self.root.stat().st_mode & 0o077:
            raise InvalidSettings(
                "others than its owner can read keys and passwords here",
                where=str(self.root),
                remedy=f"chmod 700 {self.root}",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How the node logs in to its own broker, and whom the broker shall know.

    Args:
        kafka: how to reach the broker.
        users: passwords by name, which the broker makes or renews before it listens.
    """

    kafka: KafkaSettings
    users: dict[str, str]


def in_force(settings: Settings) -> Settings:
    """Return the settings with the folder's files wherever they name none.

    Raises:
        InvalidSettings: the folder lacks a file, or others can read it.
    """
    folder = Folder(settings.data)
    sections: dict[str, object] = {}
    if folder.exists:
        folder.check()
        pair = {"certificate_file": folder.certificate, "key_file": folder.key}
        for name in ("broker", "registry", "portal", "ops"):
            section = getattr(settings, name)
            changes = {} if section.certificate_file else dict(pair)
            if name == "ops" and section.token_file is None:
                changes["token_file"] = folder.token
            sections[name] = section.model_copy(update=changes)
    secured = settings.model_copy(update=sections)
    return secured.model_copy(update={"broker": _with_super_users(secured, folder)})


def _with_super_users(settings: Settings, folder: Folder) -> BrokerSettings:
    broker = settings.broker
    if broker.certificate_file is None:
        return broker
    names = (OWN, ADMIN) if folder.exists else (OWN,)
    wanted = [f"User:{name}" for name in names if f"User:{name}" not in broker.super_users]
    return broker.model_copy(update={"super_users": (*broker.super_users, *wanted)})


def own_login(settings: Settings) -> Login:
    """Return how a node reaches its own broker, whose address is not known yet.

    Args:
        settings: as `in_force` returns them.

    Raises:
        InvalidSettings: the node would need a certificate of its own, or a password cannot be
            read or written.
    """
    broker, kafka, folder = settings.broker, settings.kafka, Folder(settings.data)
    if broker.certificate_file is None:
        return Login(kafka=KafkaSettings(), users={})
    changes: dict[str, object] = {"security_protocol": "SSL", "ca_file": kafka.ca_file}
    if kafka.ca_file is None and broker.certificate_file == folder.certificate:
        changes["ca_file"] = folder.ca
    users: dict[str, str] = {}
    if broker.client_certificate == "required":
        _refuse_nameless(kafka)
    elif broker.sasl_mechanisms:
        file = folder.password if folder.exists else _made(settings.data)
        users[OWN] = secret(file, "the node's own password", "password")
        if folder.admin_new.exists():
            users[ADMIN] = _administrators(folder)
        mechanism = next(one for one in _STRONGEST if one in broker.sasl_mechanisms)
        changes |= {"security_protocol": "SASL_SSL", "sasl_mechanism": mechanism}
        changes |= {"username": OWN, "password_file": file}
    return Login(kafka=kafka.model_copy(update=changes), users=users)


def _administrators(folder: Folder) -> str:
    """Return the administrator's password, which is to be set."""
    if not folder.admin_password.exists():
        raise InvalidSettings(
            f"is missing, and {folder.admin_new.name} says that it is to be set",
            where=str(folder.admin_password),
            remedy="let `stadtbus serve --init-security` make the administrator's folder anew",
        )
    return secret(folder.admin_password, "the administrator's password", "password")


def _refuse_nameless(kafka: KafkaSettings) -> None:
    if kafka.certificate_file is None:
        raise InvalidSettings(
            "the broker asks every client for a certificate, and the node has none for its own "
            "connections",
            where="kafka.certificate_file",
            remedy="set kafka.certificate_file and kafka.key_file, and name its principal in "
            "broker.super_users",
        )


def _made(data: Path) -> Path:
    """Return the file of the node's own password, which is made if there is none."""
    file = data / f"{OWN}.password"
    if not file.exists():
        try:
            data.mkdir(parents=True, exist_ok=True)
            replace(file, password())
        except OSError as error:
            raise InvalidSettings(
                f"the node's own password cannot be written: {error.strerror}", where=str(file)
            ) from error
    return file
