"""DescribeUserScramCredentials, AlterUserScramCredentials (KIP-554): who can log in by SCRAM."""

from collections import Counter
from typing import Any

from kio.schema.errors import ErrorCode

from bus.audit import quoted
from bus.broker.engine import Engine
from bus.broker.security.credentials import (
    FEWEST_ITERATIONS,
    MOST_ITERATIONS,
    Credential,
    Mechanism,
    of_salted,
)
from bus.broker.security.users import Key
from bus.broker.wire import Each, Fields, Request
from bus.broker.writer import StorageFailed

Verdict = tuple[ErrorCode, str]
_FINE: Verdict = (ErrorCode.none, "")


async def describe_user_scram_credentials(engine: Engine, request: Request) -> Fields:
    """Say by which mechanisms users can log in."""
    asked = request.body.users
    names = [one.name for one in asked] if asked else list(engine.security.users)
    times = Counter(names)
    results = Each(lambda name: _described(engine, name, times[name]), times)
    return {"error_code": ErrorCode.none, "error_message": "", "results": results}


def _described(engine: Engine, name: str, times: int) -> Fields:
    found = engine.security.users.of(name)
    error, reason = _FINE
    if times > 1:
        error = ErrorCode.duplicate_resource
        reason = "Cannot describe SCRAM credentials for the same user twice in a single request: "
        reason += name
    elif not found:
        error = ErrorCode.resource_not_found
        reason = f"Attempt to describe a user credential that does not exist: {name}"
    return {
        "user": name,
        "error_code": error,
        "error_message": reason,
        "credential_infos": [
            {"mechanism": one.mechanism, "iterations": one.iterations}
            for one in (found if error is ErrorCode.none else ())
        ],
    }


async def alter_user_scram_credentials(engine: Engine, request: Request) -> Fields:
    """Give users credentials, and take them away; a password itself is never sent."""
    body = request.body
    named = Counter(one.name for one in (*body.deletions, *body.upsertions))
    verdicts: dict[str, Verdict] = {
        name: (ErrorCode.duplicate_resource, _TWICE) if times > 1 else _FINE
        for name, times in named.items()
    }
    deleted: list[Key] = []
    upserted: dict[Key, Credential] = {}
    for one in body.deletions:
        if verdicts[one.name] == _FINE:
            verdicts[one.name] = _deletion_problem(engine, one)
        if verdicts[one.name] == _FINE:
            deleted.append((one.name, Mechanism(one.mechanism)))
    for one in body.upsertions:
        if verdicts[one.name] == _FINE:
            verdicts[one.name] = _upsertion_problem(one)
        if verdicts[one.name] == _FINE:
            kind = Mechanism(one.mechanism)
            upserted[one.name, kind] = of_salted(
                kind, one.iterations, one.salt, one.salted_password
            )
    if deleted or upserted:
        verdicts = await _store(engine, request, upserted, deleted, verdicts)
    return {
        "results": [
            {"user": name, "error_code": error, "error_message": reason or None}
            for name, (error, reason) in verdicts.items()
        ]
    }


_TWICE = "A user credential cannot be altered twice in the same request"


def _mechanism_problem(one: Any) -> Verdict:
    if not one.name:
        return ErrorCode.unacceptable_credential, "Username must not be empty"
    if one.mechanism not in set(Mechanism):
        return ErrorCode.unsupported_sasl_mechanism, "Unknown SCRAM mechanism"
    return _FINE


def _deletion_problem(engine: Engine, one: Any) -> Verdict:
    verdict = _mechanism_problem(one)
    if verdict == _FINE and not engine.security.users.has(one.name, Mechanism(one.mechanism)):
        return (
            ErrorCode.resource_not_found,
            "Attempt to delete a user credential that does not exist",
        )
    return verdict


def _upsertion_problem(one: Any) -> Verdict:
    verdict = _mechanism_problem(one)
    if verdict == _FINE and one.iterations < FEWEST_ITERATIONS:
        return ErrorCode.unacceptable_credential, "Too few iterations"
    if verdict == _FINE and one.iterations > MOST_ITERATIONS:
        return ErrorCode.unacceptable_credential, "Too many iterations"
    return verdict


async def _store(
    engine: Engine,
    request: Request,
    upserted: dict[Key, Credential],
    deleted: list[Key],
    verdicts: dict[str, Verdict],
) -> dict[str, Verdict]:
    try:
        await engine.change(
            lambda store: store.users.write(upserted, deleted),
            lambda _: engine.security.users.change(upserted, deleted),
        )
    except StorageFailed as failure:
        problem = (ErrorCode.kafka_storage_error, str(failure))
        return {name: problem if one == _FINE else one for name, one in verdicts.items()}
    for what, keys in (("set", upserted), ("deleted", deleted)):
        for name, mechanism in keys:
            engine.security.audit.changed(
                request.principal,
                request.client_host,
                f"credential={what} user={quoted(name)} mechanism={mechanism.text}",
            )
    return verdicts
