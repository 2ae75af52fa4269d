"""The default cluster roles for people, nodes and system components, as Kubernetes 1.36 ships them.

Source: Kubernetes, "Using RBAC Authorization", default roles and role bindings. The roles of single controllers stand in
`controller_roles`.
"""

from apiserver.auth.policy import ALL, EVENTS, READ, WRITE, Role, aggregate_to, paths, rule

_WORKLOADS = "daemonsets deployments deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale"
_WORKLOAD_STATUS = "daemonsets/status deployments/status replicasets/status statefulsets/status controllerrevisions"
_OLD_WORKLOADS = (
    "daemonsets deployments deployments/scale ingresses networkpolicies replicasets replicasets/scale "
    "replicationcontrollers/scale"
)
_EXTRA = "extensions"

NODE_RULES = (
    rule("create", "authentication.k8s.io", "tokenreviews"),
    rule("create", "authorization.k8s.io", "localsubjectaccessreviews subjectaccessreviews"),
    rule(READ, "core", "services"),
    rule("create get list watch", "core", "nodes"),
    rule("patch update", "core", "nodes nodes/status"),
    rule("create patch update", "core events.k8s.io", "events"),
    rule("create delete get list watch", "core", "pods"),
    rule("patch update", "core", "pods/status"),
    rule("create", "core", "pods/eviction"),
    rule(READ, "core", "configmaps secrets"),
    rule("get", "core", "persistentvolumeclaims persistentvolumes"),
    rule("get", "core", "endpoints"),
    rule("create get list watch", "certificates.k8s.io", "certificatesigningrequests"),
    rule("create delete get patch update", "coordination.k8s.io", "leases"),
    rule("get", "storage.k8s.io", "volumeattachments"),
    rule("create", "core", "serviceaccounts/token"),
    rule("get patch update", "core", "persistentvolumeclaims/status"),
    rule(READ, "storage.k8s.io", "csidrivers"),
    rule("create delete get patch update", "storage.k8s.io", "csinodes"),
    rule(READ, "node.k8s.io", "runtimeclasses"),
    rule("get", "resource.k8s.io", "resourceclaims"),
    rule("create delete deletecollection get list patch update watch", "resource.k8s.io", "resourceslices"),
)
"""What the Node authorizer allows where it has no closer rule; also the (unbound) role system:node."""

_ADMIN = (
    rule("create", "authorization.k8s.io", "localsubjectaccessreviews"),
    rule(f"{READ} {WRITE}", "rbac.authorization.k8s.io", "rolebindings roles"),
)
_EDIT = (
    rule(READ, "core", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
    rule("impersonate", "core", "serviceaccounts"),
    rule(WRITE, "core", "pods pods/attach pods/exec pods/portforward pods/proxy"),
    rule("create", "core", "pods/eviction"),
    rule(
        WRITE,
        "core",
        "configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets "
        "serviceaccounts services services/proxy",
    ),
    rule("create", "core", "serviceaccounts/token"),
    rule(WRITE, "apps", f"{_WORKLOADS} deployments/rollback"),
    rule(WRITE, "autoscaling", "horizontalpodautoscalers"),
    rule(WRITE, "batch", "cronjobs jobs"),
    rule(WRITE, _EXTRA, f"{_OLD_WORKLOADS} deployments/rollback"),
    rule(WRITE, "policy", "poddisruptionbudgets"),
    rule(WRITE, "networking.k8s.io", "ingresses networkpolicies"),
    rule(f"{READ} {WRITE}", "coordination.k8s.io", "leases"),
    rule(WRITE, "resource.k8s.io", "resourceclaims resourceclaimtemplates"),
)
_VIEW = (
    rule(
        READ,
        "core",
        "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers "
        "replicationcontrollers/scale serviceaccounts services services/status",
    ),
    rule(
        READ,
        "core",
        "bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas "
        "resourcequotas/status",
    ),
    rule(READ, "core", "namespaces"),
    rule(READ, "discovery.k8s.io", "endpointslices"),
    rule(READ, "apps", f"{_WORKLOADS} {_WORKLOAD_STATUS}"),
    rule(READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
    rule(READ, "batch", "cronjobs cronjobs/status jobs jobs/status"),
    rule(READ, _EXTRA, f"{_OLD_WORKLOADS} daemonsets/status deployments/status ingresses/status replicasets/status"),
    rule(READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
    rule(READ, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
    rule(READ, "resource.k8s.io", "resourceclaims resourceclaims/status resourceclaimtemplates"),
)
_DISCOVERY = "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/"
_DELEGATION = (
    rule("create", "authentication.k8s.io", "tokenreviews"),
    rule("create", "authorization.k8s.io", "subjectaccessreviews"),
)

_CONTROLLER_MANAGER = (
    EVENTS,
    rule("create", "coordination.k8s.io", "leases"),
    rule("get update", "coordination.k8s.io", "leases", "kube-controller-manager"),
    rule("create", "core", "secrets serviceaccounts"),
    rule("delete", "core", "secrets"),
    rule("get", "core", "configmaps namespaces secrets serviceaccounts"),
    rule("update", "core", "secrets serviceaccounts"),
    *_DELEGATION,
    rule("list watch", "*", "*"),
    rule("create", "core", "serviceaccounts/token"),
)
_SCHEDULER = (
    EVENTS,
    rule("create", "coordination.k8s.io", "leases"),
    rule("get list update watch", "coordination.k8s.io", "leases", "kube-scheduler"),
    rule(READ, "core", "namespaces nodes"),
    rule(f"delete {READ}", "core", "pods"),
    rule("create", "core", "bindings pods/binding"),
    rule("patch update", "core", "pods/status"),
    rule(READ, "core", "replicationcontrollers services"),
    rule(READ, "apps extensions", "replicasets"),
    rule(READ, "apps", "statefulsets"),
    rule(READ, "policy", "poddisruptionbudgets"),
    rule(READ, "core", "persistentvolumeclaims persistentvolumes"),
    *_DELEGATION,
    rule(READ, "storage.k8s.io", "csidrivers csinodes csistoragecapacities volumeattachments"),
    rule(READ, "resource.k8s.io", "deviceclasses resourceclaims resourceslices"),
    rule("patch update", "resource.k8s.io", "resourceclaims resourceclaims/status"),
    rule("update", "core", "pods/finalizers"),
)
_CLOUD = (
    EVENTS,
    rule("create get list patch update watch", "coordination.k8s.io", "leases"),
    rule("create delete get list patch update watch", "core", "nodes"),
    rule("patch update", "core", "nodes/status"),
    rule("get list patch update watch", "core", "services"),
    rule("patch update", "core", "services/status"),
    rule("create delete get list patch update watch", "core", "persistentvolumes persistentvolumeclaims"),
    rule("patch update", "core", "persistentvolumes/status persistentvolumeclaims/status"),
    rule("create delete get list patch update watch", "storage.k8s.io", "volumeattachments"),
    rule("patch update", "storage.k8s.io", "volumeattachments/status"),
    rule(READ, "storage.k8s.io", "storageclasses csinodes csidrivers"),
    rule(READ, "core", "endpoints namespaces pods"),
    rule(READ, "discovery.k8s.io", "endpointslices"),
    rule("create get", "core", "serviceaccounts"),
    rule("create", "core", "serviceaccounts/token"),
    rule("get", "core", "secrets configmaps"),
    *_DELEGATION,
)
_PROXIER = (
    rule("list watch", "core", "endpoints services"),
    rule(READ, "core", "nodes"),
    EVENTS,
    rule("list watch", "discovery.k8s.io", "endpointslices"),
    rule("list watch", "networking.k8s.io", "servicecidrs"),
)
_CSR = "system:certificates.k8s.io:"
_CSRS = f"{_CSR}certificatesigningrequests:"


def _approver(name: str, signer: str) -> Role:
    return Role(
        f"{_CSR}{name}-approver", (rule("approve", "certificates.k8s.io", "signers", f"kubernetes.io/{signer}"),)
    )


CLUSTER_ROLES: tuple[Role, ...] = (
    Role("cluster-admin", (rule(ALL, ALL, ALL), paths(ALL, ALL))),
    Role("admin", aggregates="admin"),
    Role("edit", aggregates="edit", labels=aggregate_to("admin")),
    Role("view", aggregates="view", labels=aggregate_to("edit")),
    Role("system:aggregate-to-admin", _ADMIN, labels=aggregate_to("admin")),
    Role("system:aggregate-to-edit", _EDIT, labels=aggregate_to("edit")),
    Role("system:aggregate-to-view", _VIEW, labels=aggregate_to("view")),
    Role("system:discovery", (paths("get", _DISCOVERY),)),
    Role(
        "system:monitoring",
        (paths("get", "/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*"),),
    ),
    Role(
        "system:basic-user",
        (
            rule("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
            rule("create", "authentication.k8s.io", "selfsubjectreviews"),
        ),
    ),
    Role("system:public-info-viewer", (paths("get", "/healthz /livez /readyz /version /version/"),)),
    Role(
        "system:service-account-issuer-discovery", (paths("get", "/.well-known/openid-configuration /openid/v1/jwks"),)
    ),
    Role("system:auth-delegator", _DELEGATION),
    Role("system:kube-aggregator", (rule(READ, "core", "endpoints services"),)),
    Role("system:kube-dns", (rule("list watch", "core", "endpoints services"),)),
    Role(
        "system:heapster", (rule(READ, "core", "events namespaces nodes pods"), rule(READ, "extensions", "deployments"))
    ),
    Role("system:node", NODE_RULES),
    Role("system:node-proxier", _PROXIER),
    Role(
        "system:node-bootstrapper",
        (rule("create get list watch", "certificates.k8s.io", "certificatesigningrequests"),),
    ),
    Role("system:node-problem-detector", (rule("get", "core", "nodes"), rule("patch", "core", "nodes/status"), EVENTS)),
    Role(
        "system:kubelet-api-admin",
        (
            rule(READ, "core", "nodes"),
            rule("proxy", "core", "nodes"),
            rule(ALL, "core", "nodes/configz nodes/healthz nodes/log nodes/metrics nodes/pods nodes/proxy nodes/stats"),
        ),
    ),
    Role("system:kube-controller-manager", _CONTROLLER_MANAGER),
    Role("system:kube-scheduler", _SCHEDULER),
    Role("system:cloud-controller-manager", _CLOUD),
    Role(
        "system:volume-scheduler",
        (
            rule("get list patch update watch", "core", "persistentvolumeclaims persistentvolumes"),
            rule(READ, "storage.k8s.io", "storageclasses"),
        ),
    ),
    Role(
        "system:persistent-volume-provisioner",
        (
            rule("create delete get list watch", "core", "persistentvolumes"),
            rule("get list update watch", "core", "persistentvolumeclaims"),
            rule(READ, "storage.k8s.io", "storageclasses"),
            rule("watch", "core", "events"),
            EVENTS,
        ),
    ),
    Role(f"{_CSRS}nodeclient", (rule("create", "certificates.k8s.io", "certificatesigningrequests/nodeclient"),)),
    Role(
        f"{_CSRS}selfnodeclient", (rule("create", "certificates.k8s.io", "certificatesigningrequests/selfnodeclient"),)
    ),
    _approver("kube-apiserver-client", "kube-apiserver-client"),
    _approver("kube-apiserver-client-kubelet", "kube-apiserver-client-kubelet"),
    _approver("kubelet-serving", "kubelet-serving"),
    _approver("legacy-unknown", "legacy-unknown"),
)
