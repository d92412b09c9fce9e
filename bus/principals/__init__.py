"""Who somebody is to the rules: the owner of a certificate, as a principal."""

from bus.principals.mapping import ANONYMOUS, PrincipalMapping, Unmapped
from bus.principals.subjects import subject

__all__ = ["ANONYMOUS", "PrincipalMapping", "Unmapped", "subject"]
