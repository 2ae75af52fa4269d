"""The registry: one visible table of every built-in kind.

Routes, discovery, OpenAPI, RBAC and quota names, garbage collection and the CLI's words all derive from these rows. A new
kind is one model class (named in the row's `model`) and one row here.
"""

from __future__ import annotations

from api.types import VERBS, Resource

_SCALABLE = ("status", "scale")
_NO_WATCH = ("create",)
META_FIELDS = ("metadata.name", "metadata.namespace")


def _row(
    api: str,
    kind: str,
    plural: str,
    short: str = "",
    *,
    scope: str = "Namespaced",
    sub: tuple[str, ...] = (),
    categories: tuple[str, ...] = (),
    fields: tuple[str, ...] = (),
    verbs: tuple[str, ...] = VERBS,
    stored_as: str = "",
    model: str = "",
) -> Resource:
    group, _, version = api.rpartition("/")
    module = group.split(".")[0] or "core"
    return Resource(
        group=group,
        version=version,
        kind=kind,
        plural=plural,
        singular=kind.lower(),
        model=model or f"api.kinds.{module}:{kind}",
        namespaced=scope == "Namespaced",
        short_names=tuple(short.split()),
        categories=categories,
        subresources=sub,
        verbs=verbs,
        field_selectors=META_FIELDS + fields,
        stored_as=stored_as,
    )


_CORE = "v1"
_APPS = "apps/v1"
_BATCH = "batch/v1"
_RBAC = "rbac.authorization.k8s.io/v1"
_STORAGE = "storage.k8s.io/v1"
_NETWORKING = "networking.k8s.io/v1"
_AUTHZ = "authorization.k8s.io/v1"
_AUTHN = "authentication.k8s.io/v1"
_EVENT_FIELDS = (
    "involvedObject.kind",
    "involvedObject.namespace",
    "involvedObject.name",
    "involvedObject.uid",
    "involvedObject.apiVersion",
    "involvedObject.resourceVersion",
    "involvedObject.fieldPath",
    "reason",
    "reportingComponent",
    "source",
    "type",
)

# core
NAMESPACES = _row(
    _CORE, "Namespace", "namespaces", "ns", scope="Cluster", sub=("status", "finalize"), fields=("status.phase",)
)
NODES = _row(_CORE, "Node", "nodes", "no", scope="Cluster", sub=("status", "proxy"), fields=("spec.unschedulable",))
PODS = _row(
    _CORE,
    "Pod",
    "pods",
    "po",
    categories=("all",),
    sub=(
        "status", "log", "exec", "attach", "portforward", "proxy", "binding", "eviction", "ephemeralcontainers", "resize",
    ),
    fields=(
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    ),
)  # fmt: skip
SERVICES = _row(
    _CORE,
    "Service",
    "services",
    "svc",
    categories=("all",),
    sub=("status", "proxy"),
    fields=("spec.clusterIP", "spec.type"),
)
ENDPOINTS = _row(_CORE, "Endpoints", "endpoints", "ep")
CONFIGMAPS = _row(_CORE, "ConfigMap", "configmaps", "cm")
SECRETS = _row(_CORE, "Secret", "secrets", fields=("type",))
SERVICEACCOUNTS = _row(_CORE, "ServiceAccount", "serviceaccounts", "sa", sub=("token",))
EVENTS = _row(_CORE, "Event", "events", "ev", fields=_EVENT_FIELDS, stored_as="events")
PERSISTENTVOLUMES = _row(_CORE, "PersistentVolume", "persistentvolumes", "pv", scope="Cluster", sub=("status",))
PERSISTENTVOLUMECLAIMS = _row(_CORE, "PersistentVolumeClaim", "persistentvolumeclaims", "pvc", sub=("status",))
REPLICATIONCONTROLLERS = _row(
    _CORE,
    "ReplicationController",
    "replicationcontrollers",
    "rc",
    categories=("all",),
    sub=_SCALABLE,
    fields=("status.replicas",),
)
PODTEMPLATES = _row(_CORE, "PodTemplate", "podtemplates")
LIMITRANGES = _row(_CORE, "LimitRange", "limitranges", "limits")
RESOURCEQUOTAS = _row(_CORE, "ResourceQuota", "resourcequotas", "quota", sub=("status",))
BINDINGS = _row(_CORE, "Binding", "bindings", verbs=_NO_WATCH)
# events.k8s.io: the same store as the core events, in another shape
EVENTS_V1 = _row(
    "events.k8s.io/v1",
    "Event",
    "events",
    "ev",
    fields=(
        "regarding.kind",
        "regarding.namespace",
        "regarding.name",
        "regarding.uid",
        "reason",
        "reportingController",
        "type",
    ),
    stored_as="events",
)
# coordination, discovery, policy, scheduling, node
LEASES = _row("coordination.k8s.io/v1", "Lease", "leases")
ENDPOINTSLICES = _row("discovery.k8s.io/v1", "EndpointSlice", "endpointslices")
PODDISRUPTIONBUDGETS = _row("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", "pdb", sub=("status",))
PRIORITYCLASSES = _row("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", "pc", scope="Cluster")
RUNTIMECLASSES = _row("node.k8s.io/v1", "RuntimeClass", "runtimeclasses", scope="Cluster")
# apps
DEPLOYMENTS = _row(_APPS, "Deployment", "deployments", "deploy", categories=("all",), sub=_SCALABLE)
REPLICASETS = _row(
    _APPS, "ReplicaSet", "replicasets", "rs", categories=("all",), sub=_SCALABLE, fields=("status.replicas",)
)
DAEMONSETS = _row(_APPS, "DaemonSet", "daemonsets", "ds", categories=("all",), sub=("status",))
STATEFULSETS = _row(_APPS, "StatefulSet", "statefulsets", "sts", categories=("all",), sub=_SCALABLE)
CONTROLLERREVISIONS = _row(_APPS, "ControllerRevision", "controllerrevisions")
# batch, autoscaling
JOBS = _row(_BATCH, "Job", "jobs", categories=("all",), sub=("status",), fields=("status.successful",))
CRONJOBS = _row(_BATCH, "CronJob", "cronjobs", "cj", categories=("all",), sub=("status",))
HORIZONTALPODAUTOSCALERS = _row(
    "autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa", categories=("all",), sub=("status",)
)
HORIZONTALPODAUTOSCALERS_V1 = _row(
    "autoscaling/v1",
    "HorizontalPodAutoscaler",
    "horizontalpodautoscalers",
    "hpa",
    categories=("all",),
    sub=("status",),
    stored_as="horizontalpodautoscalers.autoscaling",
    model="api.kinds.autoscaling:HorizontalPodAutoscalerV1",
)
# RBAC
ROLES = _row(_RBAC, "Role", "roles")
ROLEBINDINGS = _row(_RBAC, "RoleBinding", "rolebindings")
CLUSTERROLES = _row(_RBAC, "ClusterRole", "clusterroles", scope="Cluster")
CLUSTERROLEBINDINGS = _row(_RBAC, "ClusterRoleBinding", "clusterrolebindings", scope="Cluster")
# authentication and authorization: asked, never stored
TOKENREVIEWS = _row(_AUTHN, "TokenReview", "tokenreviews", scope="Cluster", verbs=_NO_WATCH)
SELFSUBJECTREVIEWS = _row(_AUTHN, "SelfSubjectReview", "selfsubjectreviews", scope="Cluster", verbs=_NO_WATCH)
SUBJECTACCESSREVIEWS = _row(_AUTHZ, "SubjectAccessReview", "subjectaccessreviews", scope="Cluster", verbs=_NO_WATCH)
LOCALSUBJECTACCESSREVIEWS = _row(_AUTHZ, "LocalSubjectAccessReview", "localsubjectaccessreviews", verbs=_NO_WATCH)
SELFSUBJECTACCESSREVIEWS = _row(
    _AUTHZ, "SelfSubjectAccessReview", "selfsubjectaccessreviews", scope="Cluster", verbs=_NO_WATCH
)
SELFSUBJECTRULESREVIEWS = _row(
    _AUTHZ, "SelfSubjectRulesReview", "selfsubjectrulesreviews", scope="Cluster", verbs=_NO_WATCH
)
# certificates
CERTIFICATESIGNINGREQUESTS = _row(
    "certificates.k8s.io/v1",
    "CertificateSigningRequest",
    "certificatesigningrequests",
    "csr",
    scope="Cluster",
    sub=("status", "approval"),
    fields=("spec.signerName",),
)
# storage
STORAGECLASSES = _row(_STORAGE, "StorageClass", "storageclasses", "sc", scope="Cluster")
CSIDRIVERS = _row(_STORAGE, "CSIDriver", "csidrivers", scope="Cluster")
CSINODES = _row(_STORAGE, "CSINode", "csinodes", scope="Cluster")
CSISTORAGECAPACITIES = _row(_STORAGE, "CSIStorageCapacity", "csistoragecapacities")
VOLUMEATTACHMENTS = _row(_STORAGE, "VolumeAttachment", "volumeattachments", scope="Cluster", sub=("status",))
VOLUMEATTRIBUTESCLASSES = _row(_STORAGE, "VolumeAttributesClass", "volumeattributesclasses", "vac", scope="Cluster")
# networking
INGRESSES = _row(_NETWORKING, "Ingress", "ingresses", "ing", sub=("status",))
INGRESSCLASSES = _row(_NETWORKING, "IngressClass", "ingressclasses", scope="Cluster")
NETWORKPOLICIES = _row(_NETWORKING, "NetworkPolicy", "networkpolicies", "netpol")
SERVICECIDRS = _row(_NETWORKING, "ServiceCIDR", "servicecidrs", scope="Cluster", sub=("status",))
IPADDRESSES = _row(_NETWORKING, "IPAddress", "ipaddresses", "ip", scope="Cluster", fields=("spec.parentRef",))

ALL: tuple[Resource, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Resource))

_BY_PLURAL = {(r.group, r.version, r.plural): r for r in ALL}
_BY_KIND = {(r.group, r.version, r.kind): r for r in ALL}


def find(group: str, version: str, plural: str) -> Resource | None:
    """The row for a path's group, version and plural name, or None."""
    return _BY_PLURAL.get((group, version, plural))


def by_kind(group: str, version: str, kind: str) -> Resource | None:
    """The row for an object's apiVersion (split) and kind, or None."""
    return _BY_KIND.get((group, version, kind))


def of(obj: dict[str, object]) -> Resource | None:
    """The row for an object, from its `apiVersion` and `kind`, or None."""
    group, _, version = str(obj.get("apiVersion", "")).rpartition("/")
    return by_kind(group, version, str(obj.get("kind", "")))


def lookup(word: str) -> Resource | None:
    """The row a person means: plural, singular, short name, kind, or any of these with `.group`; the first match wins."""
    wanted, _, group = word.lower().partition(".")
    for row in ALL:
        names = (row.plural, row.singular, row.kind.lower(), *row.short_names)
        if wanted in names and (not group or row.group.startswith(group)):
            return row
    return None
