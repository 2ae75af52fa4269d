"""Which authenticators, authorizers, admission plugins and subresource handlers this server runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apiserver.auth.attributes import Attributes, Decision, Verdict
from apiserver.auth.user import MASTERS, User, with_authenticated
from apiserver.plugins import Plugins
from apiserver.request import Request

if TYPE_CHECKING:
    from apiserver.core import Core


class Anyone:
    """Lets everybody in as administrator. A stand-in until the real links are there."""

    async def authenticate(self, request: Request) -> User | None:
        """Return the administrator."""
        return User("kubernetes-admin", groups=with_authenticated((MASTERS,)))

    def authorize(self, attributes: Attributes) -> Decision:
        """Allow everything."""
        return Decision(Verdict.ALLOW)


def plugins(core: Core) -> Plugins:
    """Build the links of the chain."""
    anyone = Anyone()
    return Plugins(anyone, anyone)
