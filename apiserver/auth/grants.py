"""The default bindings: which system identity holds which default role."""

from apiserver.auth import user as users
from apiserver.auth.controller_roles import CONTROLLER_ROLES, MANAGER, MANAGER_ROLE, NAMES, PREFIX
from apiserver.auth.policy import Grant, Role, account, group, rule, user
from apiserver.auth.roles import CLUSTER_ROLES

_CONTROLLER_MANAGER = user("system:kube-controller-manager")
_SCHEDULER = user("system:kube-scheduler")
_ACCOUNTS = group(users.SERVICE_ACCOUNTS)
_JOINING = group("system:bootstrappers:kubeadm:default-node-token")
_NODES = group(users.NODES)
_SYSTEM, _PUBLIC = "kube-system", "kube-public"


def _same(name: str, *subjects: dict[str, str]) -> Grant:
    return Grant(name, name, subjects)


CLUSTER_GRANTS: tuple[Grant, ...] = (
    _same("cluster-admin", group(users.MASTERS)),
    _same("system:monitoring", group("system:monitoring")),
    _same("system:discovery", group(users.AUTHENTICATED)),
    _same("system:basic-user", group(users.AUTHENTICATED)),
    _same("system:public-info-viewer", group(users.AUTHENTICATED), group(users.UNAUTHENTICATED)),
    # Nodes too: our proxy has no identity of its own, it runs with its node's.
    _same("system:node-proxier", user("system:kube-proxy"), _NODES),
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

_CSRS = "system:certificates.k8s.io:certificatesigningrequests"
BOOTSTRAP_GRANTS: tuple[Grant, ...] = (
    Grant("kubeadm:kubelet-bootstrap", "system:node-bootstrapper", (_JOINING,)),
    Grant("kubeadm:node-autoapprove-bootstrap", f"{_CSRS}:nodeclient", (_JOINING,)),
    Grant("kubeadm:node-autoapprove-certificate-rotation", f"{_CSRS}:selfnodeclient", (_NODES,)),
    Grant("kubeadm:get-nodes", "kubeadm:get-nodes", (_JOINING,)),
)
"""By which a machine with a bootstrap token becomes a node, as kubeadm grants it."""
_CLUSTER_INFO = "kubeadm:bootstrap-signer-clusterinfo"
_FOLLOWERS = "cloudlet:cluster-info-followers"

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
    Role(_CLUSTER_INFO, (rule("get", "core", "configmaps", "cluster-info"),), namespace=_PUBLIC),
    Role(_FOLLOWERS, (rule("list watch", "core", "configmaps", "cluster-info"),), namespace=_PUBLIC),
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
    # Whoever is to join must read it before anybody knows who that is: the token signs it.
    _local(_PUBLIC, _CLUSTER_INFO, user(users.ANONYMOUS), group(users.AUTHENTICATED)),
    # Nodes keep their lists of API servers and their CA by it.
    _local(_PUBLIC, _FOLLOWERS, _NODES),
)  # fmt: skip

_GET_NODES = Role("kubeadm:get-nodes", (rule("get", "core", "nodes"),))
ROLES: tuple[Role, ...] = (*CLUSTER_ROLES, *CONTROLLER_ROLES, MANAGER, _GET_NODES, *NAMESPACE_ROLES)
"""Every default role, cluster-wide and namespaced."""
GRANTS: tuple[Grant, ...] = (*CLUSTER_GRANTS, *BOOTSTRAP_GRANTS, *NAMESPACE_GRANTS)
"""Every default binding."""
