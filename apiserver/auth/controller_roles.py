"""The default role of every controller (system:controller:NAME), and the one our controller manager runs with.

Kubernetes runs its controllers under one ServiceAccount each; ours run in one process as system:kube-controller-manager, which
is bound to the union of their roles.
"""

from apiserver.auth.policy import EVENTS, READ, Role, merged, rule
from apiserver.auth.rules import Rule

_RW = "create delete get list patch update watch"
_PODS = rule("create delete list patch watch", "core", "pods")
_DRA = "resource.k8s.io"

_RULES: dict[str, tuple[Rule, ...]] = {
    "attachdetach-controller": (
        rule("list watch", "core", "persistentvolumeclaims persistentvolumes pods"),
        rule(READ, "core", "nodes"),
        rule("patch update", "core", "nodes/status"),
        EVENTS,
        rule("create delete get list watch", "storage.k8s.io", "volumeattachments"),
        rule(READ, "storage.k8s.io", "csidrivers csinodes"),
    ),
    "certificate-controller": (
        rule("delete get list watch", "certificates.k8s.io", "certificatesigningrequests"),
        rule("update", "certificates.k8s.io", "certificatesigningrequests/approval certificatesigningrequests/status"),
        rule("approve", "certificates.k8s.io", "signers", "kubernetes.io/kube-apiserver-client-kubelet"),
        rule(
            "sign",
            "certificates.k8s.io",
            "signers",
            "kubernetes.io/kube-apiserver-client kubernetes.io/kube-apiserver-client-kubelet "
            "kubernetes.io/kubelet-serving kubernetes.io/legacy-unknown",
        ),
        rule("create", "authorization.k8s.io", "subjectaccessreviews"),
        EVENTS,
    ),
    "clusterrole-aggregation-controller": (
        rule("escalate get list patch update watch", "rbac.authorization.k8s.io", "clusterroles"),
    ),
    "cronjob-controller": (
        rule("get list update watch", "batch", "cronjobs"),
        rule(_RW, "batch", "jobs"),
        rule("update", "batch", "cronjobs/status cronjobs/finalizers"),
        rule("delete list watch", "core", "pods"),
        EVENTS,
    ),
    "daemon-set-controller": (
        rule(READ, "apps extensions", "daemonsets"),
        rule("update", "apps extensions", "daemonsets/status daemonsets/finalizers"),
        rule("list watch", "core", "nodes"),
        _PODS,
        rule("create", "core", "pods/binding"),
        rule(_RW, "apps", "controllerrevisions"),
        EVENTS,
    ),
    "deployment-controller": (
        rule("get list update watch", "apps extensions", "deployments"),
        rule("update", "apps extensions", "deployments/status deployments/finalizers"),
        rule(_RW, "apps extensions", "replicasets"),
        rule("get list update watch", "core", "pods"),
        EVENTS,
    ),
    "device-taint-eviction-controller": (
        rule("delete get list watch", "core", "pods"),
        rule("patch update", "core", "pods/status"),
        rule(READ, _DRA, "deviceclasses resourceclaims resourceslices"),
        EVENTS,
    ),
    "disruption-controller": (
        rule(READ, "apps extensions", "deployments replicasets"),
        rule(READ, "core", "replicationcontrollers"),
        rule(READ, "policy", "poddisruptionbudgets"),
        rule(READ, "apps", "statefulsets"),
        rule("update", "policy", "poddisruptionbudgets/status"),
        rule("patch update", "core", "pods/status"),
        rule("get", "*", "*/scale"),
        EVENTS,
    ),
    "endpoint-controller": (
        rule(READ, "core", "pods services"),
        rule("create delete get list update watch", "core", "endpoints"),
        rule("create", "core", "endpoints/restricted"),
        EVENTS,
    ),
    "endpointslice-controller": (
        rule(READ, "core", "nodes pods services"),
        rule("update", "core", "services/finalizers"),
        rule("create delete get list update watch", "discovery.k8s.io", "endpointslices"),
        EVENTS,
    ),
    "endpointslicemirroring-controller": (
        rule(READ, "core", "endpoints services"),
        rule("update", "core", "services/finalizers endpoints/finalizers"),
        rule("create delete get list update watch", "discovery.k8s.io", "endpointslices"),
        EVENTS,
    ),
    "ephemeral-volume-controller": (
        rule(READ, "core", "pods"),
        rule("update", "core", "pods/finalizers"),
        rule("create get list watch", "core", "persistentvolumeclaims"),
        EVENTS,
    ),
    "expand-controller": (
        rule("get list patch update watch", "core", "persistentvolumes"),
        rule("patch update", "core", "persistentvolumeclaims/status"),
        rule(READ, "core", "persistentvolumeclaims"),
        EVENTS,
    ),
    "generic-garbage-collector": (rule("delete get list patch update watch", "*", "*"), EVENTS),
    "horizontal-pod-autoscaler": (
        rule(READ, "autoscaling", "horizontalpodautoscalers"),
        rule("update", "autoscaling", "horizontalpodautoscalers/status"),
        rule("get update", "*", "*/scale"),
        rule("list watch", "core", "pods"),
        rule("list watch", "metrics.k8s.io", "pods"),
        rule(READ, "custom.metrics.k8s.io external.metrics.k8s.io", "*"),
        EVENTS,
    ),
    "job-controller": (
        rule("get list patch update watch", "batch", "jobs"),
        rule("update", "batch", "jobs/status jobs/finalizers"),
        _PODS,
        EVENTS,
    ),
    "legacy-service-account-token-cleaner": (
        rule("get", "core", "configmaps", "kube-apiserver-legacy-service-account-token-tracking"),
        rule("delete patch", "core", "secrets"),
    ),
    "namespace-controller": (
        rule("delete get list watch", "core", "namespaces"),
        rule("update", "core", "namespaces/finalize namespaces/status"),
        rule("delete deletecollection get list watch", "*", "*"),
    ),
    "node-controller": (
        rule("delete get list patch update watch", "core", "nodes"),
        rule("patch update", "core", "nodes/status pods/status"),
        rule("delete get list watch", "core", "pods"),
        rule(READ, "networking.k8s.io", "clustercidrs"),
        EVENTS,
    ),
    "persistent-volume-binder": (
        rule("create delete get list update watch", "core", "persistentvolumes"),
        rule("update", "core", "persistentvolumes/status persistentvolumeclaims/status"),
        rule("get list update watch", "core", "persistentvolumeclaims"),
        rule("create delete get list watch", "core", "pods"),
        rule(READ, "storage.k8s.io", "storageclasses"),
        rule("list watch", "core", "nodes"),
        EVENTS,
        rule("watch", "core", "events"),
    ),
    "pod-garbage-collector": (
        rule("delete list watch", "core", "pods"),
        rule(READ, "core", "nodes"),
        rule("patch", "core", "pods/status"),
    ),
    "pv-protection-controller": (rule("get list update watch", "core", "persistentvolumes"), EVENTS),
    "pvc-protection-controller": (
        rule("get list update watch", "core", "persistentvolumeclaims"),
        rule("update", "core", "persistentvolumeclaims/status"),
        rule(READ, "core", "pods"),
        EVENTS,
    ),
    "replicaset-controller": (
        rule("get list update watch", "apps extensions", "replicasets"),
        rule("update", "apps extensions", "replicasets/status replicasets/finalizers"),
        _PODS,
        EVENTS,
    ),
    "replication-controller": (
        rule("get list update watch", "core", "replicationcontrollers"),
        rule("update", "core", "replicationcontrollers/status replicationcontrollers/finalizers"),
        _PODS,
        EVENTS,
    ),
    "resource-claim-controller": (
        rule(READ, "core", "pods"),
        rule("update", "core", "pods/finalizers"),
        rule("create delete get list watch", _DRA, "resourceclaims"),
        rule("patch update", _DRA, "resourceclaims resourceclaims/status resourceclaims/binding"),
        rule("patch update", "core", "pods/status"),
        EVENTS,
    ),
    "resourcequota-controller": (rule("list watch", "*", "*"), rule("update", "core", "resourcequotas/status"), EVENTS),
    "root-ca-cert-publisher": (rule("create update", "core", "configmaps"), EVENTS),
    "route-controller": (rule("list watch", "core", "nodes"), rule("patch", "core", "nodes/status"), EVENTS),
    "selinux-warning-controller": (
        EVENTS,
        rule(READ, "core", "persistentvolumeclaims persistentvolumes pods"),
        rule(READ, "storage.k8s.io", "csidrivers"),
    ),
    "service-account-controller": (rule("create", "core", "serviceaccounts"), EVENTS),
    "service-cidrs-controller": (
        rule("get list patch update watch", "networking.k8s.io", "servicecidrs"),
        rule("patch update", "networking.k8s.io", "servicecidrs/finalizers servicecidrs/status"),
        rule(READ, "networking.k8s.io", "ipaddresses"),
        EVENTS,
    ),
    "service-controller": (
        rule(READ, "core", "services"),
        rule("patch update", "core", "services/status"),
        rule("list watch", "core", "nodes"),
        EVENTS,
    ),
    "statefulset-controller": (
        rule("create delete get list patch update watch", "core", "pods"),
        rule(READ, "apps", "statefulsets"),
        rule("update", "apps", "statefulsets/status statefulsets/finalizers"),
        rule(_RW, "apps", "controllerrevisions"),
        rule("create delete get list update watch", "core", "persistentvolumeclaims"),
        rule("update", "core", "pods/finalizers"),
        EVENTS,
    ),
    "ttl-after-finished-controller": (rule("delete get list watch", "batch", "jobs"), EVENTS),
    "ttl-controller": (rule("list patch update watch", "core", "nodes"), EVENTS),
    "validatingadmissionpolicy-status-controller": (
        rule(READ, "admissionregistration.k8s.io", "validatingadmissionpolicies"),
        rule("get patch update", "admissionregistration.k8s.io", "validatingadmissionpolicies/status"),
        EVENTS,
    ),
    "volumeattributesclass-protection-controller": (
        rule(READ, "core", "persistentvolumeclaims persistentvolumes"),
        rule("get list update watch", "storage.k8s.io", "volumeattributesclasses"),
        EVENTS,
    ),
}

PREFIX = "system:controller:"
NAMES = tuple(sorted(_RULES))
CONTROLLER_ROLES: tuple[Role, ...] = tuple(Role(f"{PREFIX}{name}", _RULES[name]) for name in NAMES)
MANAGER_ROLE = "cloudlet:controllers"


def _either_write(given: Rule) -> Rule:
    """Let whoever may update also patch, and the other way round: our controllers choose by the size of the change."""
    verbs = set(given["verbs"])
    return {**given, "verbs": sorted(verbs | {"patch", "update"})} if verbs & {"patch", "update"} else given


_MORE = (
    rule("create delete get list patch update watch", "coordination.k8s.io", "leases"),
    rule("create delete get list patch update watch", "core", "configmaps secrets serviceaccounts"),
    # Kubernetes leaves the approval of serving certificates to operators; ours approves a node's own names.
    rule("approve", "certificates.k8s.io", "signers", "kubernetes.io/kubelet-serving"),
)
MANAGER = Role(MANAGER_ROLE, merged((*(_either_write(one) for name in NAMES for one in _RULES[name]), *_MORE)))
