"""The interfaces that the chain's links implement. One `Plugins` value per server names them all.

`apiserver.security.plugins(core)` builds the value; tests build their own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from api.types import Object, Resource
from apiserver.auth.attributes import Authorizer
from apiserver.auth.user import User
from apiserver.request import Reply, Request

if TYPE_CHECKING:
    from apiserver.core import Core


class Authenticator(Protocol):
    """Finds out who asks."""

    async def authenticate(self, request: Request) -> User | None:
        """Return the caller; None for a request without credentials. Raises Unauthorized for credentials that are wrong."""
        ...


class Audit(Protocol):
    """Writes the audit log; must never wait."""

    def record(self, request: Request) -> None:
        """Take note of a request that has been answered (`request.status`, `.user`, `.info`, `.annotations`)."""
        ...


@dataclass(slots=True)
class AdmissionRequest:
    """One write on its way to storage.

    Mutating plugins change `object` in place; `old` is read-only. `object` is None for DELETE, `old` is None for CREATE.
    For a subresource that is an object of its own (binding, eviction, scale, token) `object` is that object.
    """

    core: Core
    operation: Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]
    resource: Resource
    subresource: str
    namespace: str
    name: str
    object: Object | None
    old: Object | None
    user: User
    dry_run: bool = False
    options: Object = field(default_factory=dict)
    """CreateOptions, UpdateOptions, PatchOptions or DeleteOptions."""
    warnings: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)
    """Facts for the audit log."""
    undo: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """What to give back (an allocated address, quota) when the write fails afterwards; run last first."""


Admit = Callable[[AdmissionRequest], Awaitable[None]]
"""An admission plugin. Refuses by raising Forbidden, Invalid or TooManyRequests."""

Handler = Callable[["Core", Request, Resource], Awaitable[Reply | None]]
"""Answers one custom subresource or virtual resource: returns the answer, or None when it has sent it itself
(WebSockets, streams). Admission and validation are the handler's own business (`core.admit`)."""

Hook = Callable[["Core"], Awaitable[None]]
"""Runs once the caches are filled and before the server says it is ready; must be idempotent and safe to run in several
servers at once. Long-running work goes into `core.spawn(coroutine)`."""


async def _nothing(request: Request) -> None:
    return None


@dataclass(slots=True)
class Plugins:
    """All links of the chain that are not storage."""

    authenticator: Authenticator
    authorizer: Authorizer
    impersonate: Callable[[Request], Awaitable[None]] = _nothing
    """Sets `request.user` (and `request.impersonator`) from the Impersonate-* headers after asking the authorizer."""
    mutating: tuple[Admit, ...] = ()
    validating: tuple[Admit, ...] = ()
    subresources: Mapping[tuple[str, str], Handler] = field(default_factory=dict)
    """(plural, subresource) → handler for every method, e.g. ("pods", "log"). What is not here and is not status,
    scale or finalize answers 404."""
    resources: Mapping[tuple[str, str], Handler] = field(default_factory=dict)
    """(group, plural) → handler of create for resources that are asked and never stored (reviews)."""
    paths: Mapping[str, Callable[[Core, Request], Awaitable[Reply | None]]] = field(default_factory=dict)
    """Path → handler of GET for paths that are no resource (/.well-known/openid-configuration, /openid/v1/jwks)."""
    startup: tuple[Hook, ...] = ()
    audit: Audit | None = None
