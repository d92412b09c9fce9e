"""A registry where a contract with sensitive fields is in force."""

import json

from bus.contracts import Contract
from bus.journal import Entry
from bus.registry.state import State

TOPIC, ARS = "people.moved.v1", "110000000000"
SCHEMA = {
    "type": "record",
    "name": "Moved",
    "doc": "Somebody moved.",
    "fields": [
        {"name": "municipality", "type": "string", "doc": "Where to."},
        {"name": "number", "type": "string", "doc": "The case's number."},
        {"name": "name", "type": "string", "doc": "Who."},
    ],
}
SENSITIVITY = {"municipality": "public", "number": "internal", "name": "restricted"}


def moved(topic: str = TOPIC, *, sensitive: bool = True) -> Contract:
    """Return the contract; without sensitive fields, an open one."""
    return Contract.from_json(
        {
            "topic": topic,
            "title": {"de": "Umzug", "en": "Moved"},
            "description": {"de": "Umzug.", "en": "Moved."},
            "owner": f"de.mun.{ARS}",
            "access": "restricted" if sensitive else "open",
            "key": ["municipality", "number"],
            "partitions": 2,
            "compatibility": "FULL_TRANSITIVE",
            "municipality": "municipality",
            "subject": "number",
            "retention": "P7D",
            "sensitivity": SENSITIVITY if sensitive else dict.fromkeys(SENSITIVITY, "public"),
            "versions": [SCHEMA],
            "examples": {"one": {"municipality": ARS, "number": "1", "name": "Ada"}},
        }
    )


def agreed(*contracts: Contract) -> State:
    """Return what a registry knows where contracts are in force."""
    state = State()
    for number, contract in enumerate(contracts, start=1):
        known = contract.to_json()
        known.pop("schema_ids")
        texts = [json.dumps(schema) for schema in contract.versions]
        body = {"topic": contract.topic, "contract": known, "schemas": texts}
        body |= {"level": contract.compatibility}
        state.apply(Entry(number=number, digest="", kind="contract", body=body, at=0))
    return state
