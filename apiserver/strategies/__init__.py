"""What is special about each resource on its way into storage: one visible table, small functions.

A strategy says which part of an object each endpoint may write and what the server sets itself. Everything that is the
same for all resources stands in `apiserver.metadata`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from api.types import Object, Resource
from apiserver.strategies import core, workloads

Prepare = Callable[[Object], None]
"""Changes a new object in place."""
PrepareUpdate = Callable[[Object, Object], None]
"""(new, old): changes the new object in place; the old one is read-only."""


def _nothing(obj: Object) -> None:
    return None


def _nothing_updated(new: Object, old: Object) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Strategy:
    """How one resource is written."""

    create: Prepare = _nothing
    update: PrepareUpdate = _nothing_updated
    status: PrepareUpdate = _nothing_updated
    """For writes to /status, after everything but status and metadata has been taken from the old object."""
    generation: bool = False
    """Whether the resource counts changes of its spec in metadata.generation."""
    keeps_status: bool = False
    """Whether a create keeps the status it is given (a kubelet registers its node with one)."""
    upsert: bool = False
    """Whether an update may create."""
    conditional: bool = False
    """Whether an update must say which version it replaces."""


_COUNTED = Strategy(generation=True)
_DEFAULT = Strategy()
_UPSERT = Strategy(upsert=True)

STRATEGIES: dict[tuple[str, str], Strategy] = {
    ("", "pods"): Strategy(core.create_pod, core.update_pod, core.pod_status, generation=True),
    ("", "nodes"): Strategy(keeps_status=True),
    ("", "namespaces"): Strategy(core.create_namespace, core.update_namespace),
    ("", "services"): Strategy(core.create_service, upsert=True),
    ("", "secrets"): Strategy(core.create_secret, core.update_secret),
    ("", "persistentvolumes"): Strategy(core.create_pending),
    ("", "persistentvolumeclaims"): Strategy(core.create_pending),
    ("", "replicationcontrollers"): Strategy(workloads.create_replicas, generation=True),
    ("", "events"): Strategy(keeps_status=True, upsert=True),
    ("", "endpoints"): _UPSERT,
    ("", "limitranges"): _UPSERT,
    ("", "podtemplates"): Strategy(generation=True, upsert=True),
    ("events.k8s.io", "events"): Strategy(keeps_status=True, upsert=True),
    ("coordination.k8s.io", "leases"): Strategy(upsert=True, conditional=True),
    ("rbac.authorization.k8s.io", "roles"): _UPSERT,
    ("rbac.authorization.k8s.io", "rolebindings"): _UPSERT,
    ("rbac.authorization.k8s.io", "clusterroles"): _UPSERT,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): _UPSERT,
    ("apps", "deployments"): Strategy(workloads.create_replicas, generation=True),
    ("apps", "replicasets"): Strategy(workloads.create_replicas, generation=True),
    ("apps", "statefulsets"): Strategy(workloads.create_replicas, generation=True),
    ("apps", "daemonsets"): Strategy(workloads.create_daemonset, workloads.update_daemonset, generation=True),
    ("batch", "jobs"): Strategy(workloads.create_job, generation=True),
    ("batch", "cronjobs"): _COUNTED,
    ("policy", "poddisruptionbudgets"): Strategy(workloads.create_budget, generation=True, conditional=True),
    ("node.k8s.io", "runtimeclasses"): Strategy(conditional=True),
    ("networking.k8s.io", "ingresses"): _COUNTED,
    ("networking.k8s.io", "networkpolicies"): _COUNTED,
    ("networking.k8s.io", "ingressclasses"): _COUNTED,
    ("scheduling.k8s.io", "priorityclasses"): Strategy(generation=True, upsert=True),
    ("discovery.k8s.io", "endpointslices"): _COUNTED,
    ("certificates.k8s.io", "certificatesigningrequests"): Strategy(core.create_csr, core.update_csr),
}


def strategy(resource: Resource) -> Strategy:
    """The resource's strategy, or the plain one."""
    return STRATEGIES.get((resource.group, resource.plural), _DEFAULT)
