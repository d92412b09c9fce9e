"""Whether a grant that somebody hands in can be about anything: checked before it is appended.

The fold of the journal does not ask that, so that what counts does not hang on contracts, which
change; a grant of fields that there are not gives nothing.
"""

from bus.contracts import Contract
from bus.errors import InvalidContract, InvalidGrant
from bus.registry import rules
from bus.registry.state import State
from bus.trust.grants.fitting import check
from bus.trust.grants.grant import ID_BYTES
from bus.trust.grants.granting import APPROVED, ASKED
from bus.trust.grants.terms import Terms
from bus.trust.ledger import Ledger
from bus.trust.statements import Statement


def check_grant(statement: Statement, ledger: Ledger, state: State) -> None:
    """Refuse what asks for, or approves, a grant that can give nothing.

    Args:
        statement: would have an effect.
        ledger: who is who and who gets what.
        state: the contracts in force.

    Raises:
        InvalidGrant: there is no such owner or contract, or the contract has not what is asked for.
    """
    terms = _terms(statement, ledger)
    if terms is None:
        return
    if terms.owner.member not in ledger.standing.members:
        raise InvalidGrant(
            f"{terms.owner.member} is no member",
            where="grant.owner",
            remedy="see `stadtbus member ls`",
        )
    check(terms, _contract(terms.topic, state))


def _terms(statement: Statement, ledger: Ledger) -> Terms | None:
    if statement.kind == ASKED:
        return Terms.from_json(statement.says)
    if statement.kind == APPROVED:
        found = ledger.grants.named(bytes.fromhex(statement.says["grant"])[:ID_BYTES])
        return None if found is None else found.terms
    return None


def _contract(topic: str, state: State) -> Contract:
    if state.contract(topic) is None:
        raise InvalidGrant(
            f"there is no contract {topic}",
            where="grant.topic",
            remedy="see `stadtbus contract ls`",
        )
    try:
        return Contract.from_json(rules.described(state, topic), topic)
    except InvalidContract as error:
        raise InvalidGrant(
            f"the contract {topic} was put in force under other rules: {error}",
            where="grant.topic",
            remedy="have its owner put it in force anew",
        ) from error
