"""Which authenticators, authorizers, admission plugins and subresource handlers this server runs: everything is joined here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from api.resources import CLUSTERROLEBINDINGS, CLUSTERROLES, PODS, ROLEBINDINGS, ROLES, SERVICEACCOUNTS, SERVICES
from api.types import Object
from apiserver import bootstrap
from apiserver.accounts import AccountWaiter
from apiserver.admission import table as admission
from apiserver.allocators import ServiceAllocator
from apiserver.audit import AuditLog
from apiserver.auth.attributes import Authorizer
from apiserver.auth.authenticator import Authenticator
from apiserver.auth.bootstrap_tokens import BootstrapTokens
from apiserver.auth.impersonation import impersonated
from apiserver.auth.node import NodeAuthorizer, NodeGraph
from apiserver.auth.rbac import RbacAuthorizer, RbacIndex
from apiserver.auth.token_file import TokenFile
from apiserver.auth.union import Authorization, Everyone
from apiserver.auth.user import User
from apiserver.core import Core
from apiserver.kubernetes_service import KubernetesService
from apiserver.options import Options
from apiserver.plugins import Hook, Plugins
from apiserver.request import Reply, Request
from apiserver.reviews import Reviews
from apiserver.subresources import table
from apiserver.subresources.kubelets import Kubelets
from apiserver.subresources.tokens import TokenRequests
from apiserver.token_keys import TokenKeys


class Callers:
    """The chain's view of authentication: a request in, its user out."""

    def __init__(self, authenticator: Authenticator) -> None:
        self.authenticator = authenticator

    async def authenticate(self, request: Request) -> User | None:
        """Return who asks. Raises Unauthorized for credentials that do not hold."""
        headers = request.headers
        authorization = headers.get(b"authorization", b"").decode("latin-1")
        protocols = headers.get(b"sec-websocket-protocol", b"").decode("latin-1") if request.is_websocket else ""
        return self.authenticator.authenticate(request.client_certificate, authorization, protocols)


def audiences(options: Options) -> tuple[str, ...]:
    """Return for whom a token must be meant to be good here: --api-audiences, else the issuer."""
    return tuple(name.strip() for name in options.api_audiences.split(",") if name.strip()) or (
        options.service_account_issuer,
    )


def authenticator(core: Core, keys: TokenKeys) -> Authenticator:
    """Build authentication from the options."""
    options = core.options
    static = TokenFile.load(options.token_auth_file) if options.token_auth_file else None
    made = Authenticator(
        tokens=keys.verifier, bootstrap=BootstrapTokens(core.lookup), static=static, anonymous=options.anonymous_auth
    )
    keys.changed = made.forget
    return made


def rbac_index(core: Core) -> RbacIndex:
    """Keep an index of roles and bindings up to date with the cache."""
    index = RbacIndex()

    def follow(plural: str) -> Callable[[str, Object], None]:
        def change(kind: str, obj: Object) -> None:
            if kind == "DELETED":
                index.remove(plural, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
            else:
                index.apply(plural, obj)

        return change

    for resource in (ROLES, CLUSTERROLES, ROLEBINDINGS, CLUSTERROLEBINDINGS):
        core.on_change(resource, follow(resource.plural))
    return index


def node_graph(core: Core) -> NodeGraph:
    """Keep the graph of nodes, pods and what they refer to up to date with the cache."""
    graph = NodeGraph(core.lookup)

    def change(kind: str, pod: Object) -> None:
        if kind == "DELETED":
            graph.remove(pod["metadata"]["namespace"], pod["metadata"]["name"])
        else:
            graph.apply(pod)

    core.on_change(PODS, change)
    return graph


def authorizer(core: Core, index: RbacIndex) -> Authorizer:
    """Build authorization from --authorization-mode."""
    modes = [mode.strip() for mode in core.options.authorization_mode.split(",") if mode.strip()]
    made: dict[str, Callable[[], Authorizer]] = {
        "Node": lambda: NodeAuthorizer(node_graph(core), core.lookup),
        "RBAC": lambda: RbacAuthorizer(index),
        "AlwaysAllow": Everyone,
    }
    unknown = [mode for mode in modes if mode not in made]
    if unknown or not modes:
        raise ValueError(f"--authorization-mode: {unknown or modes}: must name some of {', '.join(made)}")
    return Authorization([made[mode]() for mode in modes])


def impersonation(authority: Authorizer) -> Callable[[Request], Awaitable[None]]:
    """Return the link of the chain that acts on Impersonate-* headers."""

    async def impersonate(request: Request) -> None:
        user = impersonated(request.user, request.scope["headers"], authority)
        if user is not None:
            request.impersonator, request.user = request.user, user

    return impersonate


def allocation(core: Core) -> tuple[ServiceAllocator, Hook]:
    """Return the allocator of Service addresses and the hook that repairs its books in the background."""
    allocator = ServiceAllocator(core)
    core.on_change(SERVICES, allocator.observe)

    async def start(core: Core) -> None:
        core.spawn(allocator.run())

    return allocator, start


def issuer_paths(documents: dict[str, bytes]) -> dict[str, Callable[[Core, Request], Awaitable[Reply | None]]]:
    """Return the handlers of the issuer's discovery documents."""

    def serving(path: str) -> Callable[[Core, Request], Awaitable[Reply | None]]:
        kind = "application/jwk-set+json" if path.endswith("jwks") else "application/json"

        async def serve(core: Core, request: Request) -> Reply:
            return Reply(200, documents[path], kind)

        return serve

    return {path: serving(path) for path in documents}


def plugins(core: Core) -> Plugins:
    """Build the links of the chain."""
    options = core.options
    keys = TokenKeys(options, audiences(options), core.lookup)
    callers = authenticator(core, keys)
    index = rbac_index(core)
    authority = authorizer(core, index)
    allocator, repair = allocation(core)
    accounts = AccountWaiter(core)
    core.on_change(SERVICEACCOUNTS, accounts.observe)
    core.files.add(keys.paths, keys.load)
    audit = AuditLog(options.audit_log_path) if options.audit_log_path else None
    return Plugins(
        authenticator=Callers(callers),
        authorizer=authority,
        impersonate=impersonation(authority),
        mutating=admission.enabled(admission.mutating(core, accounts, allocator)),
        validating=admission.enabled(admission.validating(core, authority, index)),
        subresources=table.subresources(Kubelets(core), TokenRequests(keys.issuer, audiences(options))),
        resources={**table.RESOURCES, **Reviews(callers, authority, index).handlers()},
        paths=issuer_paths(keys.documents),
        startup=(
            bootstrap.namespaces,
            bootstrap.priority_classes,
            bootstrap.rbac,
            bootstrap.service_cidr,
            bootstrap.authentication_config,
            KubernetesService(core, allocator).start,
            repair,
            *((audit.start,) if audit else ()),
        ),
        audit=audit,
    )
