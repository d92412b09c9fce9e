"""A broker's configuration as Kafka reads it: pure.

One node in both roles (KRaft). With three, what is acknowledged survives the loss of one, and no
replica that lags behind ever becomes the leader.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bus.settings import KafkaSettings

ADMIN = "admin"
"""The user that administers a secure cluster; brokers talk to each other as this user."""

CONTROLLER = "broker"
"""The name in the certificate with which nodes prove themselves to the controllers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One broker's number, from 1, and its two ports on loopback."""

    id: int
    port: int
    controller_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """Where a secure cluster's certificates lie, and its administrator's password."""

    keystore: Path
    ca: Path
    password: str


def properties(
    node: Node,
    nodes: Sequence[Node],
    data: Path,
    security: Security | None,
    configs: Mapping[str, str],
) -> dict[str, str]:
    """Return one node's properties.

    Args:
        node: whose.
        nodes: all of the cluster, this one among them.
        data: the folder for its log.
        security: TLS, SCRAM and default deny; None for plaintext and no rules.
        configs: further properties, which go before ours.
    """
    voters = ",".join(f"{one.id}@127.0.0.1:{one.controller_port}" for one in nodes)
    replicas, in_sync = str(len(nodes)), str(min(2, len(nodes)))
    listener = "PLAINTEXT" if security is None else "SASL_SSL"
    return {
        "process.roles": "broker,controller",
        "node.id": str(node.id),
        "controller.quorum.voters": voters,
        "listeners": f"{listener}://127.0.0.1:{node.port},"
        f"CONTROLLER://127.0.0.1:{node.controller_port}",
        "inter.broker.listener.name": listener,
        "controller.listener.names": "CONTROLLER",
        "log.dirs": str(data),
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "unclean.leader.election.enable": "false",
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": replicas,
        "offsets.topic.num.partitions": "5",
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": "5",
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
        "share.coordinator.state.topic.num.partitions": "5",
        "group.initial.rebalance.delay.ms": "0",
        **(_open() if security is None else _secure(security)),
        **configs,
    }


def _open() -> dict[str, str]:
    return {"listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT"}


def _secure(security: Security) -> dict[str, str]:
    """TLS everywhere; clients and brokers log in, controllers ask for a certificate instead.

    Users are kept by the controllers, so these cannot know who logs in before they have started.
    """
    return {
        "listener.security.protocol.map": "CONTROLLER:SSL,SASL_SSL:SASL_SSL",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": _jaas(ADMIN, security.password),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(security.keystore),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(security.ca),
        "ssl.endpoint.identification.algorithm": "https",
        "listener.name.controller.ssl.client.auth": "required",
        "ssl.principal.mapping.rules": "RULE:^.*CN=([^,]+).*$/$1/",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": f"User:{ADMIN};User:{CONTROLLER}",
    }


def client_properties(user: KafkaSettings) -> dict[str, str]:
    """Return what one of Kafka's own tools needs to reach a cluster as a user."""
    values: dict[str, str] = {"security.protocol": user.security_protocol}
    if user.ca_file is not None:
        values |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": str(user.ca_file)}
    if user.security_protocol.startswith("SASL"):
        values["sasl.mechanism"] = user.sasl_mechanism
        values["sasl.jaas.config"] = _jaas(*user.login())
    return values


def _jaas(name: str, password: str) -> str:
    module = "org.apache.kafka.common.security.scram.ScramLoginModule"
    return f'{module} required username="{name}" password="{password}";'


def text(values: Mapping[str, str]) -> str:
    """Return properties as a file of java.util.Properties."""
    return "".join(f"{name}={_escaped(value)}\n" for name, value in values.items())


def _escaped(value: str) -> str:
    # java.util.Properties: read as Latin-1; a backslash begins an escape.
    plain = value.replace("\\", "\\\\")
    utf16 = plain.encode("utf-16-be")
    units = (int.from_bytes(utf16[n : n + 2]) for n in range(0, len(utf16), 2))
    return "".join(chr(unit) if 0x20 <= unit < 0x7F else f"\\u{unit:04x}" for unit in units)


LOGGING = """\
<Configuration status="ERROR">
  <Appenders>
    <Console name="console"><PatternLayout pattern="%d %p %m (%c)%n"/></Console>
  </Appenders>
  <Loggers><Root level="WARN"><AppenderRef ref="console"/></Root></Loggers>
</Configuration>
"""
"""log4j2's configuration: warnings to standard output, which goes to each broker's own file."""
