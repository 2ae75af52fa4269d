"""The Node authorizer: a kubelet reads what its own pods refer to and writes what is its own, nothing else.

Source: Kubernetes, "Using Node Authorization". The graph node -> pod -> secret, configMap, claim, ServiceAccount is kept from
pod events; claim -> volume -> secret is followed when asked for.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator

from api.pods import is_mirror
from api.resources import PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, VOLUMEATTACHMENTS
from api.types import Object
from apiserver.auth.attributes import NO_OPINION, Attributes, Decision, Verdict
from apiserver.auth.lookup import Lookup
from apiserver.auth.roles import NODE_RULES
from apiserver.auth.rules import permits, permits_path
from apiserver.auth.user import NODES, node_of

SECRET, CONFIGMAP, CLAIM, ACCOUNT, RESOURCE_CLAIM = (
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "serviceaccounts",
    "resourceclaims",
)
Ref = tuple[str, str, str]
"""(plural, namespace, name) of an object a pod refers to."""

LEASE_NAMESPACE = "kube-node-lease"
ALLOWED = Decision(Verdict.ALLOW)
_CSI_SECRETS = (
    "controllerPublishSecretRef",
    "nodeStageSecretRef",
    "nodePublishSecretRef",
    "controllerExpandSecretRef",
    "nodeExpandSecretRef",
)
_VOLUME_SECRETS = ("azureFile", "cephfs", "rbd", "flexVolume", "scaleIO", "iscsi", "storageos")


def _container_refs(pod: Object) -> Iterator[tuple[str, str]]:
    spec = pod["spec"]
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(field) or ():
            for source in container.get("envFrom") or ():
                if "configMapRef" in source:
                    yield CONFIGMAP, source["configMapRef"].get("name", "")
                if "secretRef" in source:
                    yield SECRET, source["secretRef"].get("name", "")
            for variable in container.get("env") or ():
                value = variable.get("valueFrom") or {}
                if "configMapKeyRef" in value:
                    yield CONFIGMAP, value["configMapKeyRef"].get("name", "")
                if "secretKeyRef" in value:
                    yield SECRET, value["secretKeyRef"].get("name", "")


def _volume_refs(pod: Object) -> Iterator[tuple[str, str]]:
    for volume in pod["spec"].get("volumes") or ():
        if source := volume.get("secret"):
            yield SECRET, source.get("secretName", "")
        if source := volume.get("configMap"):
            yield CONFIGMAP, source.get("name", "")
        if source := volume.get("persistentVolumeClaim"):
            yield CLAIM, source.get("claimName", "")
        if volume.get("ephemeral"):
            yield CLAIM, f"{pod['metadata']['name']}-{volume['name']}"
        if reference := (volume.get("csi") or {}).get("nodePublishSecretRef"):
            yield SECRET, reference.get("name", "")
        for kind in _VOLUME_SECRETS:
            if reference := (volume.get(kind) or {}).get("secretRef"):
                yield SECRET, reference.get("name", "")
        for part in (volume.get("projected") or {}).get("sources") or ():
            if "secret" in part:
                yield SECRET, part["secret"].get("name", "")
            if "configMap" in part:
                yield CONFIGMAP, part["configMap"].get("name", "")


def pod_refs(pod: Object) -> frozenset[Ref]:
    """Return all objects a pod's node may read for its sake; none for a mirror pod, which the node itself created."""
    meta, spec = pod["metadata"], pod["spec"]
    if is_mirror(pod):
        return frozenset()
    namespace = meta["namespace"]
    found = {(kind, namespace, name) for kind, name in (*_container_refs(pod), *_volume_refs(pod)) if name}
    if account := spec.get("serviceAccountName"):
        found.add((ACCOUNT, namespace, account))
    found |= {(SECRET, namespace, ref["name"]) for ref in spec.get("imagePullSecrets") or () if ref.get("name")}
    for claim in (pod.get("status") or {}).get("resourceClaimStatuses") or ():
        if name := claim.get("resourceClaimName"):
            found.add((RESOURCE_CLAIM, namespace, name))
    return frozenset(found)


class NodeGraph:
    """Which node may see which object. Fed by `apply` and `remove` with the pods of the watch cache."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._pods: dict[tuple[str, str], tuple[str, frozenset[Ref]]] = {}
        self._refs: dict[str, Counter[Ref]] = defaultdict(Counter)

    def apply(self, pod: Object) -> None:
        """Take in a new or changed pod."""
        meta = pod["metadata"]
        key = (meta["namespace"], meta["name"])
        node = pod["spec"].get("nodeName", "")
        refs = pod_refs(pod) if node else frozenset()
        known = self._pods.get(key)
        if known == (node, refs):
            return
        self.remove(*key)
        if node:
            self._pods[key] = (node, refs)
            self._refs[node].update(refs)

    def remove(self, namespace: str, name: str) -> None:
        """Forget a deleted pod."""
        known = self._pods.pop((namespace, name), None)
        if known is None:
            return
        node, refs = known
        counts = self._refs[node]
        for ref in refs:
            counts[ref] -= 1
            if counts[ref] <= 0:
                del counts[ref]
        if not counts:
            del self._refs[node]

    def has_pod(self, node: str, namespace: str, name: str) -> bool:
        """Tell whether the pod is bound to the node."""
        known = self._pods.get((namespace, name))
        return known is not None and known[0] == node

    def relates(self, node: str, kind: str, namespace: str, name: str) -> bool:
        """Tell whether a pod of the node refers to the object, directly or through a claim's volume."""
        counts = self._refs.get(node)
        if counts is None:
            return False
        if (kind, namespace, name) in counts:
            return True
        if kind == PERSISTENTVOLUMES.plural:
            volume = self._lookup.get(PERSISTENTVOLUMES, "", name)
            claim = (volume or {}).get("spec", {}).get("claimRef") or {}
            return (CLAIM, claim.get("namespace", ""), claim.get("name", "")) in counts
        if kind == SECRET:
            return any((namespace, name) in self._volume_secrets(ref) for ref in counts if ref[0] == CLAIM)
        return False

    def _volume_secrets(self, claim_ref: Ref) -> set[tuple[str, str]]:
        claim = self._lookup.get(PERSISTENTVOLUMECLAIMS, claim_ref[1], claim_ref[2])
        volume_name = (claim or {}).get("spec", {}).get("volumeName")
        volume = self._lookup.get(PERSISTENTVOLUMES, "", volume_name) if volume_name else None
        spec = (volume or {}).get("spec", {})
        references = [(spec.get("csi") or {}).get(field) for field in _CSI_SECRETS]
        references += [(spec.get(kind) or {}).get("secretRef") for kind in _VOLUME_SECRETS]
        return {(ref.get("namespace") or claim_ref[1], ref.get("name", "")) for ref in references if ref}


class NodeAuthorizer:
    """Allows kubelets what their node needs; has no opinion on anybody else."""

    def __init__(self, graph: NodeGraph, lookup: Lookup) -> None:
        self._graph = graph
        self._lookup = lookup

    def authorize(self, attributes: Attributes) -> Decision:
        """Return ALLOW, or NO_OPINION with the reason that a Forbidden message then shows."""
        user = attributes.user
        if NODES not in user.groups:
            return NO_OPINION
        node = node_of(user)
        if not node:
            return _no(f'unknown node for user "{user.name}"')
        if not attributes.is_resource:
            return ALLOWED if any(permits_path(r, attributes.verb, attributes.path) for r in NODE_RULES) else NO_OPINION
        rule = _SPECIAL.get((attributes.group, attributes.resource))
        if rule:
            return rule(self, node, attributes)
        return _by_rules(attributes)

    def _referenced(self, node: str, asked: Attributes) -> Decision:
        if asked.verb not in ("get", "list", "watch"):
            return _no("can only read resources of this type")
        return self._related(node, asked)

    def _get_referenced(self, node: str, asked: Attributes) -> Decision:
        if asked.verb != "get":
            return _no("can only get individual resources of this type")
        if asked.subresource:
            return _no("cannot read subresource")
        return self._related(node, asked)

    def _related(self, node: str, asked: Attributes) -> Decision:
        if asked.subresource:
            return _no("cannot read subresource")
        if not asked.name:
            return _no("No Object name found")
        if self._graph.relates(node, asked.resource, asked.namespace, asked.name):
            return ALLOWED
        return _no(f"no relationship found between node '{node}' and this object")

    def _claims(self, node: str, asked: Attributes) -> Decision:
        if asked.subresource == "status":
            if asked.verb not in ("get", "update", "patch"):
                return _no("can only get/update/patch this type")
            related = self._graph.relates(node, asked.resource, asked.namespace, asked.name)
            return ALLOWED if related else _no(f"no relationship found between node '{node}' and this object")
        return self._get_referenced(node, asked)

    def _attachments(self, node: str, asked: Attributes) -> Decision:
        if asked.verb != "get" or asked.subresource:
            return _no("can only get individual resources of this type")
        attachment = self._lookup.get(VOLUMEATTACHMENTS, "", asked.name)
        if attachment and attachment.get("spec", {}).get("nodeName") == node:
            return ALLOWED
        return _no(f"no relationship found between node '{node}' and this object")

    def _account_tokens(self, node: str, asked: Attributes) -> Decision:
        if asked.verb != "create" or asked.subresource != "token":
            return _no("can only create tokens for individual service accounts")
        if self._graph.relates(node, ACCOUNT, asked.namespace, asked.name):
            return ALLOWED
        return _no(f"no relationship found between node '{node}' and this object")

    def _leases(self, node: str, asked: Attributes) -> Decision:
        if asked.verb not in ("get", "create", "update", "patch", "delete"):
            return _no("can only get, create, update, patch, or delete a node lease")
        if asked.namespace != LEASE_NAMESPACE:
            return _no(f'can only access leases in the "{LEASE_NAMESPACE}" system namespace')
        if asked.verb != "create" and asked.name != node:
            return _no("can only access node lease with the same name as the requesting node")
        return ALLOWED

    def _csi_nodes(self, node: str, asked: Attributes) -> Decision:
        if asked.verb not in ("get", "create", "update", "patch", "delete"):
            return _no("can only get, create, update, patch, or delete a CSINode")
        if asked.subresource:
            return _no("cannot authorize CSINode subresources")
        if asked.verb != "create" and asked.name != node:
            return _no("can only access CSINode with the same name as the requesting node")
        return ALLOWED

    def _nodes(self, node: str, asked: Attributes) -> Decision:
        if asked.subresource not in ("", "status"):
            return _by_rules(asked)
        if asked.verb in ("get", "list", "watch") and asked.name != node:
            return _no(f"node '{node}' cannot read '{asked.name}', only its own Node object")
        return _by_rules(asked)

    def _pods(self, node: str, asked: Attributes) -> Decision:
        if asked.subresource or asked.verb not in ("get", "list", "watch"):
            return _by_rules(asked)
        if asked.verb == "get":
            if self._graph.has_pod(node, asked.namespace, asked.name):
                return ALLOWED
            return _no(f"no relationship found between node '{node}' and this object")
        if _selects_node(asked.field_selector, node) or (
            asked.name and self._graph.has_pod(node, asked.namespace, asked.name)
        ):
            return ALLOWED
        return _no("can only list/watch pods with spec.nodeName field selector")


_SPECIAL = {
    ("", "secrets"): NodeAuthorizer._referenced,
    ("", "configmaps"): NodeAuthorizer._referenced,
    ("", "persistentvolumeclaims"): NodeAuthorizer._claims,
    ("", "persistentvolumes"): NodeAuthorizer._get_referenced,
    ("", "serviceaccounts"): NodeAuthorizer._account_tokens,
    ("", "nodes"): NodeAuthorizer._nodes,
    ("", "pods"): NodeAuthorizer._pods,
    ("resource.k8s.io", "resourceclaims"): NodeAuthorizer._get_referenced,
    ("storage.k8s.io", "volumeattachments"): NodeAuthorizer._attachments,
    ("storage.k8s.io", "csinodes"): NodeAuthorizer._csi_nodes,
    ("coordination.k8s.io", "leases"): NodeAuthorizer._leases,
}


def _no(reason: str) -> Decision:
    return Decision(Verdict.NO_OPINION, reason)


def _by_rules(asked: Attributes) -> Decision:
    for rule in NODE_RULES:
        if permits(rule, asked.verb, asked.group, asked.resource, asked.subresource, asked.name):
            return ALLOWED
    return NO_OPINION


def _selects_node(field_selector: str, node: str) -> bool:
    """Tell whether a field selector holds the requirement spec.nodeName=NODE."""
    terms = [term.strip().replace("==", "=") for term in field_selector.split(",")]
    return f"spec.nodeName={node}" in terms
