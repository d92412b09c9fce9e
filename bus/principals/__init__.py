"""Who somebody is to the rules: the owner of a certificate, as a principal."""

from bus.principals.mapping import ANONYMOUS, PrincipalMapping, Unmapped
from bus.principals.subjects import subject

OWN_CLIENTS = "_stadtbus."
"""What client ids begin with by which the bus looks at itself: canary, watch, checks, probes."""

__all__ = ["ANONYMOUS", "OWN_CLIENTS", "PrincipalMapping", "Unmapped", "subject"]
