"""Settings that let a user's clients in: ours, Java's, and those of librdkafka."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bus.errors import InvalidSettings
from bus.files import replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a client needs to know of a secured node.

    Args:
        bootstrap: the broker's address.
        registry: the registry's URL.
        mechanism: how to log in.
        user, password: who logs in.
        ca: the authority's certificate, PEM.
    """

    bootstrap: str
    registry: str
    mechanism: str
    user: str
    password: str
    ca: str

    def files(self) -> Mapping[str, bytes]:
        """Return the files of a client's folder by their names.

        They find each other where they are used in that folder.
        """
        texts = {
            "stadtbus.toml": self._ours(),
            "client.properties": self._java(),
            "kcat.conf": self._librdkafka(),
            "ca.pem": self.ca,
            "password": f"{self.password}\n",
        }
        return {name: text.encode() for name, text in texts.items()}

    def _ours(self) -> str:
        return f"""\
# For `stadtbus` and for publishers and subscribers that are started in this folder.
[kafka]
bootstrap = "{self.bootstrap}"
security_protocol = "SASL_SSL"
sasl_mechanism = "{self.mechanism}"
username = "{self.user}"
password_file = "password"
ca_file = "ca.pem"

[registry]
url = "{self.registry}"
"""

    def _java(self) -> str:
        module = "plain.Plain" if self.mechanism == "PLAIN" else "scram.Scram"
        certificate = "\\n\\\n  ".join(self.ca.strip().splitlines())
        return f"""\
# For Apache Kafka's tools (--command-config) and Java clients.
bootstrap.servers={self.bootstrap}
security.protocol=SASL_SSL
sasl.mechanism={self.mechanism}
sasl.jaas.config=org.apache.kafka.common.security.{module}LoginModule required \\
  username="{self.user}" password="{self.password}";
ssl.truststore.type=PEM
ssl.truststore.certificates={certificate}
"""

    def _librdkafka(self) -> str:
        return f"""\
# For kcat -F and other clients of librdkafka.
bootstrap.servers={self.bootstrap}
security.protocol=SASL_SSL
sasl.mechanisms={self.mechanism}
sasl.username={self.user}
sasl.password={self.password}
ssl.ca.location=ca.pem
"""


def hand_out(access: Access, folder: Path) -> None:
    """Write a client's folder, which only its owner can read; what else lies there stays.

    Raises:
        InvalidSettings: it cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, content in access.files().items():
            replace(folder / name, content)
    except OSError as error:
        raise InvalidSettings(
            f"cannot be written: {error.strerror}",
            where=str(folder),
            remedy="name a folder that this user may write to",
        ) from error
