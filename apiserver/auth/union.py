"""All authorizers as one: system:masters and the health paths pass, then Node, then RBAC; nobody else decides."""

from collections.abc import Sequence

from apiserver.auth.attributes import Attributes, Authorizer, Decision, Verdict
from apiserver.auth.user import MASTERS

ALWAYS_ALLOWED = frozenset({"/healthz", "/livez", "/readyz"})
_MASTER = Decision(Verdict.ALLOW)


class Authorization:
    """Asks each authorizer in turn; the first that allows or denies decides. The reasons of those without opinion are kept."""

    def __init__(self, authorizers: Sequence[Authorizer]) -> None:
        self._authorizers = tuple(authorizers)

    def authorize(self, attributes: Attributes) -> Decision:
        """Return the decision; what nobody allows is not allowed."""
        if MASTERS in attributes.user.groups:
            return _MASTER
        if attributes.path in ALWAYS_ALLOWED and not attributes.resource:
            return _MASTER
        reasons = ""
        for authorizer in self._authorizers:
            decision = authorizer.authorize(attributes)
            if decision.verdict is not Verdict.NO_OPINION:
                return decision
            if decision.reason:
                reasons = f"{reasons}, {decision.reason}" if reasons else decision.reason
        return Decision(Verdict.NO_OPINION, reasons)


class Everyone:
    """--authorization-mode AlwaysAllow: for tests and for clusters of one person."""

    def authorize(self, attributes: Attributes) -> Decision:
        """Allow."""
        return _MASTER
