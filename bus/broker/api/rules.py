"""DescribeAcls, CreateAcls, DeleteAcls: the rules who may do what."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from kio.schema.errors import ErrorCode

from bus.audit import quoted
from bus.broker.engine import Engine
from bus.broker.security.rules import (
    CLUSTER_NAME,
    Filter,
    Kind,
    Operation,
    Pattern,
    Permission,
    Rule,
)
from bus.broker.wire import Each, Fields, Request
from bus.broker.writer import StorageFailed
from bus.pause import Pause

AT_ONCE = 1000
"""Rules that are looked at before it may be the others' turn."""

MOST_RULES = 300_000
"""As many as two systems of each German municipality need, and some."""

Verdict = tuple[ErrorCode, str]
_FINE: Verdict = (ErrorCode.none, "")
_OFF: Verdict = (ErrorCode.security_disabled, "No Authorizer is configured.")
# Of the whole request, and by this error, as Kafka has it.
_INDEFINITE: Verdict = (
    ErrorCode.unknown_server_error,
    "a rule names one kind, pattern, operation and permission; ANY and MATCH are for filters",
)
_UNKNOWN: Verdict = (ErrorCode.invalid_request, "the filter has a value that is not known")


async def describe_acls(engine: Engine, request: Request) -> Fields:
    """List the rules that a filter finds."""
    error, reason = _FINE if engine.security.enforced else _OFF
    found: list[Rule] = []
    wanted = _filter(request.body)
    if wanted is None:
        error, reason = _UNKNOWN
    elif error is ErrorCode.none:
        found = await _found(list(engine.security.rules), wanted)
    # Rules come in order, so those about one thing stand together.
    resources = [
        {
            "resource_type": kind,
            "resource_name": name,
            "pattern_type": pattern,
            "acls": Each(_entry, list(some)),
        }
        for (kind, pattern, name), some in groupby(found, key=lambda rule: rule[:3])
    ]
    return {"error_code": error, "error_message": reason or None, "resources": resources}


async def create_acls(engine: Engine, request: Request) -> Fields:
    """Make rules; one that is there already is fine."""
    rules: list[Rule] = []
    verdicts: list[Verdict] = []
    indefinite = any(map(_is_indefinite, request.body.creations))
    for one in request.body.creations:
        verdict = _creation_problem(one) if engine.security.enforced else _OFF
        if verdict == _FINE and indefinite:
            verdict = _INDEFINITE
        verdicts.append(verdict)
        if verdict == _FINE:
            rules.append(_rule(one))
    if rules:
        problem = await _change(engine, request, made=rules)
        verdicts = [problem if one == _FINE else one for one in verdicts]
    return {
        "results": [
            {"error_code": error, "error_message": reason or None} for error, reason in verdicts
        ]
    }


async def delete_acls(engine: Engine, request: Request) -> Fields:
    """Delete the rules that filters find."""
    found: list[list[Rule]] = []
    verdicts: list[Verdict] = []
    for one in request.body.filters:
        wanted = _filter(one)
        verdict = _FINE if engine.security.enforced else _OFF
        if wanted is None:
            verdict = _UNKNOWN
        verdicts.append(verdict)
        if wanted is None or verdict != _FINE:
            found.append([])
        else:
            found.append(engine.security.rules.found(wanted))
    gone = {rule for some in found for rule in some}
    if gone:
        problem = await _change(engine, request, deleted=sorted(gone))
        verdicts = [problem if one == _FINE else one for one in verdicts]
    return {
        "filter_results": [
            {
                "error_code": error,
                "error_message": reason or None,
                "matching_acls": [_deleted(rule) for rule in some] if not error else (),
            }
            for (error, reason), some in zip(verdicts, found, strict=True)
        ]
    }


async def _found(rules: Sequence[Rule], wanted: Filter) -> list[Rule]:
    """Return the rules that a filter means; others have their turn meanwhile."""
    found: list[Rule] = []
    pause = Pause()
    for start in range(0, len(rules), AT_ONCE):
        found += [rule for rule in rules[start : start + AT_ONCE] if wanted.finds(rule)]
        await pause()
    return found


def _filter(one: Any) -> Filter | None:
    try:
        return Filter(
            Kind(one.resource_type_filter),
            Pattern(one.pattern_type_filter),
            one.resource_name_filter,
            one.principal_filter,
            one.host_filter,
            Operation(one.operation),
            Permission(one.permission_type),
        )
    except ValueError:
        return None


def _rule(one: Any) -> Rule:
    return Rule(
        Kind(one.resource_type),
        Pattern(one.resource_pattern_type),
        one.resource_name,
        one.principal,
        one.host,
        Operation(one.operation),
        Permission(one.permission_type),
    )


def _is_indefinite(one: Any) -> bool:
    """Whether what can stand in filters alone stands in a rule."""
    return (
        one.resource_type == Kind.ANY
        or one.resource_pattern_type in {Pattern.ANY, Pattern.MATCH}
        or one.operation == Operation.ANY
        or one.permission_type == Permission.ANY
    )


def _creation_problem(one: Any) -> Verdict:
    """Say why a rule cannot be (AclApis and AclControlManager of Apache Kafka)."""
    try:
        rule = _rule(one)
    except ValueError:
        return ErrorCode.invalid_request, "the rule has a value that is not known"
    reason = ""
    if not rule.name:
        reason = "Invalid empty resource name"
    elif rule.kind is Kind.CLUSTER and rule.name != CLUSTER_NAME:
        reason = f"The only valid name for the CLUSTER resource is {CLUSTER_NAME}"
    elif ":" not in rule.principal:
        reason = f"Could not parse principal from `{rule.principal}` (no colon is present)"
    return (ErrorCode.invalid_request, reason) if reason else _FINE


async def _change(
    engine: Engine,
    request: Request,
    *,
    made: Sequence[Rule] = (),
    deleted: Sequence[Rule] = (),
) -> Verdict:
    security = engine.security
    if made and len(security.rules) + len(made) > MOST_RULES:
        return ErrorCode.policy_violation, f"there can be {MOST_RULES} rules in all"
    try:
        await engine.change(
            lambda store: store.rules.write(made, deleted),
            lambda _: security.rules.change(made, deleted),
        )
    except StorageFailed as failure:
        return ErrorCode.kafka_storage_error, str(failure)
    for what, rules in (("made", made), ("deleted", deleted)):
        for rule in rules:
            security.audit.changed(
                request.principal, request.client_host, f"rule={what} {_told(rule)}"
            )
    return _FINE


def _told(rule: Rule) -> str:
    return (
        f"{rule.permission.name} {quoted(rule.principal)} host={quoted(rule.host)} "
        f"operation={rule.operation.name} resource={rule.kind.name} "
        f"pattern={rule.pattern.name} name={quoted(rule.name)}"
    )


def _entry(rule: Rule) -> Fields:
    return {
        "principal": rule.principal,
        "host": rule.host,
        "operation": rule.operation,
        "permission_type": rule.permission,
    }


def _deleted(rule: Rule) -> Fields:
    return {
        "error_code": ErrorCode.none,
        "error_message": None,
        "resource_type": rule.kind,
        "resource_name": rule.name,
        "pattern_type": rule.pattern,
        **_entry(rule),
    }
