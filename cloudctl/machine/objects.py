"""The objects by which machines find out about their cluster: its settings, and who may read them and the certificates."""

from __future__ import annotations

import yaml

from api import resources
from api.errors import NotFound
from api.types import Object
from client.rest import ApiClient
from cloudctl.cluster.state import ClusterError
from cloudctl.machine import settings
from cloudctl.machine.settings import ClusterSettings
from cloudctl.machine.tokens import CERTS, GROUP, NAMESPACE

CONFIG = "cloudlet-config"
_RBAC = "rbac.authorization.k8s.io/v1"


def manifests(cluster: ClusterSettings) -> list[Object]:
    """What init puts into the cluster beside the add-ons. Pure."""
    text = yaml.safe_dump(cluster.model_dump(mode="json", by_alias=True, exclude_none=True), sort_keys=False)
    return [
        {
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": CONFIG, "namespace": NAMESPACE}, "data": {"cluster": text},
        },
        *_readable("cloudlet:config", "configmaps", CONFIG, (GROUP, "system:nodes")),
        *_readable("cloudlet:certs", "secrets", CERTS, (GROUP,)),
    ]  # fmt: skip


def _readable(name: str, plural: str, which: str, groups: tuple[str, ...]) -> list[Object]:
    meta = {"name": name, "namespace": NAMESPACE}
    rules = [{"apiGroups": [""], "resources": [plural], "resourceNames": [which], "verbs": ["get"]}]
    subjects = [{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": group} for group in groups]
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    return [
        {"apiVersion": _RBAC, "kind": "Role", "metadata": meta, "rules": rules},
        {"apiVersion": _RBAC, "kind": "RoleBinding", "metadata": meta, "subjects": subjects, "roleRef": reference},
    ]


async def cluster_settings(client: ApiClient) -> ClusterSettings:
    """What the cluster's machines agree on. Raises ClusterError."""
    try:
        found = await client.get(resources.CONFIGMAPS, CONFIG, NAMESPACE)
    except NotFound as error:
        raise ClusterError(
            f"the cluster has no ConfigMap {NAMESPACE}/{CONFIG}: was it made by `cloudctl init`?"
        ) from error
    data = {"nodeName": "any", "address": "127.0.0.1", "cluster": yaml.safe_load(found["data"]["cluster"])}
    return settings.parse(data, f"ConfigMap {NAMESPACE}/{CONFIG}").cluster
