"""Whether an object may be stored: every rule broken, all at once, each with its path.

The rules come from three places: the marks at the models' fields (`declared`), the metadata rules that hold for every
kind (`metadata`), and one function per kind for what neither can say. `KINDS` is the visible table of the latter.
"""

from collections.abc import Callable
from dataclasses import dataclass

from api import kinds
from api.errors import FieldError
from api.types import Object, Resource
from api.validation import cluster, declared, metadata, pods, services, storage, workloads
from api.validation.errors import Errors

Check = Callable[[Object, Errors], None]
Compare = Callable[[Object, Object, Errors], None]


@dataclass(frozen=True, slots=True)
class Rules:
    """A kind's own rules: `check` for what it may be, `update` for what may not change. `on_create` is for new ones only."""

    check: Check | None = None
    update: Compare | None = None
    on_create: Check | None = None


KINDS: dict[str, Rules] = {
    "v1/Pod": Rules(on_create=pods.create, update=pods.update),
    "v1/PodTemplate": Rules(lambda obj, errors: pods.template(obj.get("template"), errors, "template")),
    "v1/Node": Rules(cluster.node, cluster.update_node),
    "v1/Service": Rules(services.service, services.update_service),
    "v1/Endpoints": Rules(services.endpoints),
    "v1/ConfigMap": Rules(cluster.config_map, cluster.update_data),
    "v1/Secret": Rules(cluster.secret, cluster.update_secret),
    "v1/Event": Rules(cluster.event),
    "v1/PersistentVolume": Rules(storage.persistent_volume, storage.update_persistent_volume),
    "v1/PersistentVolumeClaim": Rules(storage.claim, storage.update_claim),
    "v1/ReplicationController": Rules(workloads.replication_controller),
    "v1/LimitRange": Rules(cluster.limit_range),
    "v1/ResourceQuota": Rules(cluster.resource_quota, cluster.update_resource_quota),
    "events.k8s.io/v1/Event": Rules(on_create=cluster.event_v1),
    "coordination.k8s.io/v1/Lease": Rules(cluster.lease),
    "discovery.k8s.io/v1/EndpointSlice": Rules(services.endpoint_slice),
    "policy/v1/PodDisruptionBudget": Rules(workloads.disruption_budget),
    "scheduling.k8s.io/v1/PriorityClass": Rules(cluster.priority_class, cluster.update_priority_class),
    "apps/v1/Deployment": Rules(workloads.deployment),
    "apps/v1/ReplicaSet": Rules(workloads.replica_set),
    "apps/v1/DaemonSet": Rules(workloads.daemon_set),
    "apps/v1/StatefulSet": Rules(workloads.stateful_set, workloads.update_stateful_set),
    "apps/v1/ControllerRevision": Rules(workloads.controller_revision),
    "batch/v1/Job": Rules(on_create=workloads.job, update=workloads.update_job),
    "batch/v1/CronJob": Rules(workloads.cron_job),
    "autoscaling/v1/HorizontalPodAutoscaler": Rules(workloads.autoscaler),
    "autoscaling/v2/HorizontalPodAutoscaler": Rules(workloads.autoscaler),
    "rbac.authorization.k8s.io/v1/Role": Rules(cluster.role),
    "rbac.authorization.k8s.io/v1/ClusterRole": Rules(cluster.cluster_role),
    "rbac.authorization.k8s.io/v1/RoleBinding": Rules(cluster.role_binding, cluster.update_binding),
    "rbac.authorization.k8s.io/v1/ClusterRoleBinding": Rules(cluster.cluster_role_binding, cluster.update_binding),
    "certificates.k8s.io/v1/CertificateSigningRequest": Rules(cluster.signing_request, cluster.update_signing_request),
    "storage.k8s.io/v1/StorageClass": Rules(storage.storage_class, storage.update_storage_class),
    "networking.k8s.io/v1/Ingress": Rules(services.ingress),
    "networking.k8s.io/v1/NetworkPolicy": Rules(services.network_policy),
    "networking.k8s.io/v1/ServiceCIDR": Rules(services.service_cidr),
}
_NONE = Rules()
_POD_SUBRESOURCES: dict[str, Compare] = {"resize": pods.resize, "ephemeralcontainers": pods.ephemeral}


def rules(resource: Resource) -> Rules:
    """A kind's own rules; empty for a kind that has none."""
    return KINDS.get(f"{resource.group_version}/{resource.kind}", _NONE)


def validate_create(resource: Resource, obj: Object) -> list[FieldError]:
    """Every rule that a new object breaks. `obj` is decoded, with its defaults, its name and namespace."""
    errors = Errors()
    metadata.validate(resource, obj, errors)
    declared.check(kinds.load(resource), obj, errors)
    own = rules(resource)
    for check in (own.check, own.on_create):
        if check is not None:
            check(obj, errors)
    return list(errors)


def validate_update(resource: Resource, new: Object, old: Object, subresource: str = "") -> list[FieldError]:
    """Every rule that an update breaks.

    Of `status` only the metadata is checked, since the spec is the stored one; `scale`, `binding` and `approval` are
    written by the server itself and are checked in the same way.
    """
    errors = Errors()
    metadata.validate_update(new, old, errors)
    if subresource in _POD_SUBRESOURCES:
        _POD_SUBRESOURCES[subresource](new, old, errors)
    elif not subresource:
        model = kinds.load(resource)
        own = rules(resource)
        declared.check(model, new, errors)
        declared.check_immutable(model, new, old, errors)
        if own.check is not None:
            own.check(new, errors)
        if own.update is not None:
            own.update(new, old, errors)
    return list(errors)
