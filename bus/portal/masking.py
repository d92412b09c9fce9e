"""What of a payload may be shown: fields that the contract calls sensitive are masked. Pure.

The contract's word for a field holds for all that is in it, whatever its type: a masked array,
map, union or record is one mask, so that neither its length nor its names can be seen. A field
that the contract has no word for, as only an older version has it, is masked unless all of the
contract is open.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Self

from bus.contracts import Contract
from bus.event import split_key

MASK = "•••"
"""Stands in the place of what is masked."""

MASKED = frozenset({"confidential", "restricted"})
"""The words of a contract for fields that are masked."""

_STEP = re.compile(r"\[\]|\{\}|<[^>]*>|\.")
"""What stands between names in a path of Avro's: items, values, a union's branch."""

Path = tuple[str, ...]


class Masking:
    """What a contract hides.

    Args:
        access: the contract's; in an open one nothing is sensitive.
        sensitivity: its word for each field, by path.
        key: the fields that its keys are made of.
        subject: the field that becomes the envelope's subject; None: publishers choose it.
    """

    def __init__(
        self,
        *,
        access: str,
        sensitivity: Mapping[str, str],
        key: Sequence[str] = (),
        subject: str | None = None,
    ) -> None:
        self._open = access == "open"
        self._known = {_names(path)[0] for path in sensitivity}
        self._hidden = [_names(path) for path, word in sensitivity.items() if word in MASKED]
        self._key, self._subject = tuple(key), subject

    @classmethod
    def of(cls, contract: Contract) -> Self:
        """Return what a contract hides."""
        return cls(
            access=contract.access,
            sensitivity=contract.sensitivity,
            key=contract.key,
            subject=contract.subject,
        )

    @property
    def hides(self) -> bool:
        """Whether anything is masked."""
        return bool(self._hidden) or not self._open

    @property
    def fields(self) -> Sequence[str]:
        """The paths of what is masked."""
        return [".".join(path) for path in self._hidden]

    def data(self, value: Any) -> Any:
        """Return data with masks in the places of what is sensitive; None stays None."""
        return self._masked(value, ())

    def key(self, text: str) -> str:
        """Return a key with masks in the places of its sensitive parts."""
        hidden = [self._is_hidden((name,)) for name in self._key]
        if not (self.hides and hidden):
            return text
        if len(split_key(text)) != len(hidden):
            return MASK  # nobody knows which part is which, or what it is at all
        parts = zip(text.split(":"), hidden, strict=True)
        return ":".join(MASK if masked else part for part, masked in parts)

    def subject(self, text: str | None) -> str | None:
        """Return an envelope's subject, or a mask if it may be a sensitive field's value."""
        free = self._subject is None and bool(self._hidden)
        if text is None or not (free or (self._subject and self._is_hidden((self._subject,)))):
            return text
        return MASK

    def _masked(self, value: Any, path: Path) -> Any:
        if path and self._is_hidden(path):
            return MASK
        if isinstance(value, Mapping):
            return {name: self._masked(item, (*path, str(name))) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._masked(item, path) for item in value]
        return value

    def _is_hidden(self, path: Path) -> bool:
        if path[0] not in self._known:
            return not self._open
        return any(_leads_to(hidden, path) for hidden in self._hidden)


def _names(path: str) -> Path:
    return tuple(name for name in _STEP.split(path) if name) or ("",)


def _leads_to(hidden: Path, path: Path) -> bool:
    """Whether a path is the hidden one, with a map's own names somewhere in between at the most.

    Data does not tell a map from a record; in doubt, more is masked.
    """
    if hidden[0] != path[0] or hidden[-1] != path[-1]:
        return False
    steps = iter(path)
    return all(name in steps for name in hidden)
