"""Which function describes which kind, and what else it must be given. One visible table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from api import resources
from api.types import Object, Resource
from cloudctl.describe import cluster, workloads
from cloudctl.describe.pod import pod
from cloudctl.describe.text import Page
from cloudctl.describe.workloads import Related

Describer = Callable[[Page, Object, Related], None]


def _pod(page: Page, obj: Object, related: Related) -> None:
    pod(page, obj)


@dataclass(frozen=True)
class Entry:
    """A describer and the related resources it wants: the owned ones, or those chosen by `how`."""

    describe: Describer
    related: tuple[Resource, ...] = ()
    how: str = "owned"


TABLE: dict[Resource, Entry] = {
    resources.PODS: Entry(_pod),
    resources.DEPLOYMENTS: Entry(workloads.deployment, (resources.REPLICASETS,)),
    resources.REPLICASETS: Entry(workloads.replicas, (resources.PODS,)),
    resources.REPLICATIONCONTROLLERS: Entry(workloads.replicas, (resources.PODS,)),
    resources.STATEFULSETS: Entry(workloads.replicas, (resources.PODS,)),
    resources.DAEMONSETS: Entry(workloads.daemon_set, (resources.PODS,)),
    resources.JOBS: Entry(workloads.job),
    resources.NODES: Entry(cluster.node, (resources.PODS,), "on the node"),
    resources.SERVICES: Entry(cluster.service, (resources.ENDPOINTSLICES,), "of the service"),
    resources.PERSISTENTVOLUMECLAIMS: Entry(cluster.claim, (resources.PODS,), "in the namespace"),
    resources.SECRETS: Entry(cluster.secret),
    resources.CONFIGMAPS: Entry(cluster.configmap),
}
ANYTHING = Entry(cluster.anything)
