"""What `kubectl get` shows of each kind: one visible table of columns, computed on plain objects.

The server answers `as=Table` with it and the CLI prints it. No model is imported here. A kind without a row of its own
shows its name and when it was created.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from api.columns import cells, cluster, network, pods, storage, workloads
from api.columns.cells import Column
from api.types import Object, Resource

COLUMNS: dict[str, tuple[Column, ...]] = {
    "v1/Pod": pods.PODS,
    "v1/PodTemplate": pods.PODTEMPLATES,
    "v1/Node": cluster.NODES,
    "v1/Namespace": cluster.NAMESPACES,
    "v1/Service": network.SERVICES,
    "v1/Endpoints": network.ENDPOINTS,
    "v1/ConfigMap": cluster.CONFIGMAPS,
    "v1/Secret": cluster.SECRETS,
    "v1/ServiceAccount": cluster.SERVICEACCOUNTS,
    "v1/Event": cluster.EVENTS,
    "v1/PersistentVolume": storage.PERSISTENTVOLUMES,
    "v1/PersistentVolumeClaim": storage.PERSISTENTVOLUMECLAIMS,
    "v1/ReplicationController": workloads.REPLICATIONCONTROLLERS,
    "v1/LimitRange": cluster.LIMITRANGES,
    "v1/ResourceQuota": cluster.RESOURCEQUOTAS,
    "events.k8s.io/v1/Event": cluster.EVENTS,
    "coordination.k8s.io/v1/Lease": cluster.LEASES,
    "discovery.k8s.io/v1/EndpointSlice": network.ENDPOINTSLICES,
    "policy/v1/PodDisruptionBudget": pods.PODDISRUPTIONBUDGETS,
    "scheduling.k8s.io/v1/PriorityClass": cluster.PRIORITYCLASSES,
    "node.k8s.io/v1/RuntimeClass": cluster.RUNTIMECLASSES,
    "apps/v1/Deployment": workloads.DEPLOYMENTS,
    "apps/v1/ReplicaSet": workloads.REPLICASETS,
    "apps/v1/DaemonSet": workloads.DAEMONSETS,
    "apps/v1/StatefulSet": workloads.STATEFULSETS,
    "apps/v1/ControllerRevision": workloads.CONTROLLERREVISIONS,
    "batch/v1/Job": workloads.JOBS,
    "batch/v1/CronJob": workloads.CRONJOBS,
    "autoscaling/v2/HorizontalPodAutoscaler": workloads.HORIZONTALPODAUTOSCALERS,
    "autoscaling/v1/HorizontalPodAutoscaler": workloads.HORIZONTALPODAUTOSCALERS_V1,
    "rbac.authorization.k8s.io/v1/Role": cluster.ROLES,
    "rbac.authorization.k8s.io/v1/ClusterRole": cluster.ROLES,
    "rbac.authorization.k8s.io/v1/RoleBinding": cluster.ROLEBINDINGS,
    "rbac.authorization.k8s.io/v1/ClusterRoleBinding": cluster.ROLEBINDINGS,
    "certificates.k8s.io/v1/CertificateSigningRequest": cluster.CERTIFICATESIGNINGREQUESTS,
    "storage.k8s.io/v1/StorageClass": storage.STORAGECLASSES,
    "storage.k8s.io/v1/CSIDriver": storage.CSIDRIVERS,
    "storage.k8s.io/v1/CSINode": storage.CSINODES,
    "storage.k8s.io/v1/CSIStorageCapacity": storage.CSISTORAGECAPACITIES,
    "storage.k8s.io/v1/VolumeAttachment": storage.VOLUMEATTACHMENTS,
    "storage.k8s.io/v1/VolumeAttributesClass": storage.VOLUMEATTRIBUTESCLASSES,
    "networking.k8s.io/v1/Ingress": network.INGRESSES,
    "networking.k8s.io/v1/IngressClass": network.INGRESSCLASSES,
    "networking.k8s.io/v1/NetworkPolicy": pods.NETWORKPOLICIES,
    "networking.k8s.io/v1/ServiceCIDR": network.SERVICECIDRS,
    "networking.k8s.io/v1/IPAddress": network.IPADDRESSES,
    "apiregistration.k8s.io/v1/APIService": cluster.APISERVICES,
    "admissionregistration.k8s.io/v1/MutatingWebhookConfiguration": cluster.WEBHOOKS,
    "admissionregistration.k8s.io/v1/ValidatingWebhookConfiguration": cluster.WEBHOOKS,
    "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy": cluster.VALIDATINGADMISSIONPOLICIES,
    "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicyBinding": cluster.VALIDATINGADMISSIONPOLICYBINDINGS,
    "flowcontrol.apiserver.k8s.io/v1/FlowSchema": cluster.FLOWSCHEMAS,
    "flowcontrol.apiserver.k8s.io/v1/PriorityLevelConfiguration": cluster.PRIORITYLEVELS,
    "resource.k8s.io/v1/ResourceClaim": cluster.RESOURCECLAIMS,
    "resource.k8s.io/v1/ResourceClaimTemplate": cluster.NAME_AND_AGE,
    "resource.k8s.io/v1/DeviceClass": cluster.NAME_AND_AGE,
    "resource.k8s.io/v1/ResourceSlice": cluster.RESOURCESLICES,
}


def columns(resource: Resource) -> tuple[Column, ...]:
    """The columns of a resource, wide ones included."""
    return COLUMNS.get(f"{resource.group_version}/{resource.kind}", cells.DEFAULT)


def table(
    resource: Resource, objs: Iterable[Object], now: datetime | None = None
) -> tuple[list[Object], list[list[Any]]]:
    """The column definitions of a Table, and one list of cells per object, in order.

    Ages are counted to `now`, by default the present moment.
    """
    present = now or cells.now()
    shown = columns(resource)
    definitions = [column.definition() for column in shown]
    if shown is pods.PODS:
        return definitions, [pods.row(obj, present) for obj in objs]
    return definitions, [[column.cell(obj, present) for column in shown] for obj in objs]
