"""The default bindings: which system identity holds which default role."""

from apiserver.auth import user as users
from apiserver.auth.controller_roles import CONTROLLER_ROLES, MANAGER, MANAGER_ROLE, NAMES, PREFIX
from apiserver.auth.policy import Grant, Role, account, group, rule, user
from apiserver.auth.roles import CLUSTER_ROLES

_CONTROLLER_MANAGER = user("system:kube-controller-manager")
_SCHEDULER = user("system:kube-scheduler")
_ACCOUNTS = group(users.SERVICE_ACCOUNTS)
_SYSTEM, _PUBLIC = "kube-system", "kube-public"


def _same(name: str, *subjects: dict[str, str]) -> Grant:
    return Grant(name, name, subjects)


CLUSTER_GRANTS: tuple[Grant, ...] = (
    _same("cluster-admin", group(users.MASTERS)),
    _same("system:monitoring", group("system:monitoring")),
    _same("system:discovery", group(users.AUTHENTICATED)),
    _same("system:basic-user", group(users.AUTHENTICATED)),
    _same("system:public-info-viewer", group(users.AUTHENTICATED), group(users.UNAUTHENTICATED)),
    _same("system:node-proxier", user("system:kube-proxy")),
    _same("system:kube-controller-manager", _CONTROLLER_MANAGER),
    _same("system:kube-dns", account(_SYSTEM, "kube-dns")),
    _same("system:kube-scheduler", _SCHEDULER),
    _same("system:volume-scheduler", _SCHEDULER),
    _same("system:service-account-issuer-discovery", _ACCOUNTS),
    _same("system:cloud-controller-manager", user("system:cloud-controller-manager")),
    Grant("system:node", "system:node", ()),
    Grant(MANAGER_ROLE, MANAGER_ROLE, (_CONTROLLER_MANAGER,)),
    *(Grant(f"{PREFIX}{name}", f"{PREFIX}{name}", (account(_SYSTEM, name),)) for name in NAMES),
)

_LOCKS = (rule("watch", "core", "configmaps"),)
NAMESPACE_ROLES: tuple[Role, ...] = (
    Role("extension-apiserver-authentication-reader", namespace=_SYSTEM, rules=(
        rule("get list watch", "core", "configmaps", "extension-apiserver-authentication"),
    )),
    Role("system:controller:bootstrap-signer", (rule("get list watch", "core", "secrets"),), namespace=_SYSTEM),
    Role("system:controller:token-cleaner", namespace=_SYSTEM, rules=(
        rule("delete get list watch", "core", "secrets"),
        rule("create patch update", "core events.k8s.io", "events"),
    )),
    Role("system:controller:cloud-provider", (rule("create get list watch", "core", "configmaps"),), namespace=_SYSTEM),
    Role("system::leader-locking-kube-controller-manager", namespace=_SYSTEM, rules=(
        *_LOCKS, rule("get update", "core", "configmaps", "kube-controller-manager"),
    )),
    Role("system::leader-locking-kube-scheduler", namespace=_SYSTEM, rules=(
        *_LOCKS, rule("get update", "core", "configmaps", "kube-scheduler"),
    )),
    Role("system:controller:bootstrap-signer", namespace=_PUBLIC, rules=(
        rule("get list watch", "core", "configmaps"),
        rule("update", "core", "configmaps", "cluster-info"),
        rule("create patch update", "core events.k8s.io", "events"),
    )),
)  # fmt: skip


def _local(namespace: str, role: str, *subjects: dict[str, str], name: str = "") -> Grant:
    return Grant(name or role, role, subjects, namespace, "Role")


NAMESPACE_GRANTS: tuple[Grant, ...] = (
    _local(
        _SYSTEM, "extension-apiserver-authentication-reader", _CONTROLLER_MANAGER, _SCHEDULER,
        name="system::extension-apiserver-authentication-reader",
    ),
    _local(
        _SYSTEM, "system::leader-locking-kube-controller-manager",
        _CONTROLLER_MANAGER, account(_SYSTEM, "kube-controller-manager"),
    ),
    _local(_SYSTEM, "system::leader-locking-kube-scheduler", _SCHEDULER, account(_SYSTEM, "kube-scheduler")),
    _local(_SYSTEM, "system:controller:bootstrap-signer", account(_SYSTEM, "bootstrap-signer")),
    _local(_SYSTEM, "system:controller:cloud-provider", account(_SYSTEM, "cloud-provider")),
    _local(_SYSTEM, "system:controller:token-cleaner", account(_SYSTEM, "token-cleaner")),
    _local(_PUBLIC, "system:controller:bootstrap-signer", account(_SYSTEM, "bootstrap-signer")),
)  # fmt: skip

ROLES: tuple[Role, ...] = (*CLUSTER_ROLES, *CONTROLLER_ROLES, MANAGER, *NAMESPACE_ROLES)
"""Every default role, cluster-wide and namespaced."""
GRANTS: tuple[Grant, ...] = (*CLUSTER_GRANTS, *NAMESPACE_GRANTS)
"""Every default binding."""
