"""NodeRestriction: what the Node authorizer cannot see, because it is in the body: a kubelet changes its own node and pods only.

Source: Kubernetes, "Admission Control", NodeRestriction.
"""

from api import errors
from api.pods import is_mirror
from api.resources import CSINODES, LEASES, NODES, PERSISTENTVOLUMECLAIMS, PODS, SERVICEACCOUNTS
from api.types import Object
from apiserver.auth.lookup import Lookup
from apiserver.auth.user import NODES as NODES_GROUP
from apiserver.auth.user import node_of
from apiserver.plugins import AdmissionRequest

RESTRICTED_PREFIX = "node-restriction.kubernetes.io/"
_KUBELET_LABELS = frozenset(
    [
        "kubernetes.io/hostname",
        "kubernetes.io/arch",
        "kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "failure-domain.kubernetes.io/zone",
        "failure-domain.kubernetes.io/region",
    ]
)
_KUBELET_PREFIXES = ("kubelet.kubernetes.io", "node.kubernetes.io")
LEASE_NAMESPACE = "kube-node-lease"


class NodeRestriction:
    """Promises: a kubelet creates mirror pods of its own node only, deletes and evicts its own pods, changes the status of
    its own pods and node, never its own taints or protected labels, and asks for tokens bound to its own pods."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    async def __call__(self, request: AdmissionRequest) -> None:
        """Check one write of a kubelet; writes of others pass."""
        if NODES_GROUP not in request.user.groups:
            return
        node = node_of(request.user)
        if not node:
            raise _refused(request, f'could not determine node from user "{request.user.name}"')
        if request.resource is PODS:
            self._pod(request, node)
        elif request.resource is NODES:
            check_node(request, node)
        elif request.resource is PERSISTENTVOLUMECLAIMS:
            check_claim(request)
        elif request.resource is SERVICEACCOUNTS:
            self._token(request, node)
        elif request.resource is LEASES:
            if (
                request.namespace == LEASE_NAMESPACE
                and request.operation in ("CREATE", "UPDATE")
                and request.name != node
            ):
                raise _refused(request, "can only access node lease with the same name as the requesting node")
        elif request.resource is CSINODES and request.operation in ("CREATE", "UPDATE") and request.name != node:
            raise _refused(request, "can only access CSINode with the same name as the requesting node")

    def _pod(self, request: AdmissionRequest, node: str) -> None:
        if request.subresource == "eviction":
            pod = self._lookup.get(PODS, request.namespace, request.name)
            if pod is None or pod["spec"].get("nodeName") != node:
                raise _refused(request, f'node "{node}" can only evict pods with spec.nodeName set to itself')
        elif request.subresource == "status":
            if (request.old or {}).get("spec", {}).get("nodeName") != node:
                why = "pod status for pods with spec.nodeName set to itself"
                raise _refused(request, f'node "{node}" can only update {why}')
            labels = [((obj or {}).get("metadata") or {}).get("labels") or {} for obj in (request.old, request.object)]
            if labels[0] != labels[1]:
                raise _refused(request, f'node "{node}" cannot update labels through pod status')
        elif request.subresource:
            raise _refused(
                request, f'unexpected pod subresource "{request.subresource}", only "status" and "eviction" are allowed'
            )
        elif request.operation == "CREATE" and request.object is not None:
            self._create(request, node, request.object)
        elif request.operation == "DELETE":
            if ((request.old or {}).get("spec") or {}).get("nodeName") != node:
                raise _refused(request, f'node "{node}" can only delete pods with spec.nodeName set to itself')
        else:
            raise _refused(
                request,
                f'unexpected operation "{request.operation}", node "{node}" can only create and delete mirror pods',
            )

    def _create(self, request: AdmissionRequest, node: str, pod: Object) -> None:
        if not is_mirror(pod):
            raise _refused(
                request,
                f'pod does not have "kubernetes.io/config.mirror" annotation, node "{node}" can only create mirror pods',
            )
        if pod["spec"].get("nodeName") != node:
            raise _refused(request, f'node "{node}" can only create pods with spec.nodeName set to itself')
        owners = pod["metadata"].get("ownerReferences") or []
        if len(owners) > 1:
            raise _refused(request, f'node "{node}" can only create pods with a single owner reference set to itself')
        if not owners:
            return
        owner, own = owners[0], self._lookup.get(NODES, "", node)
        if (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) != ("v1", "Node", node):
            raise _refused(request, f'node "{node}" can only create pods with an owner reference set to itself')
        if own and owner.get("uid") != own["metadata"]["uid"]:
            raise _refused(
                request, f'node "{node}" can only create pods with an owner reference set to itself: uid mismatch'
            )
        if owner.get("blockOwnerDeletion"):
            raise _refused(request, f'node "{node}" must not set blockOwnerDeletion on an owner reference')

    def _token(self, request: AdmissionRequest, node: str) -> None:
        if request.operation != "CREATE" or request.subresource != "token":
            return
        bound = ((request.object or {}).get("spec") or {}).get("boundObjectRef") or {}
        if bound.get("kind") != "Pod" or bound.get("apiVersion", "v1") != "v1" or not bound.get("name"):
            raise _refused(request, "node requested token not bound to a pod")
        if not bound.get("uid"):
            raise _refused(request, "node requested token with a pod binding without a uid")
        pod = self._lookup.get(PODS, request.namespace, bound["name"])
        if pod is None or pod["metadata"]["uid"] != bound["uid"]:
            raise _refused(request, "the UID in the bound object reference does not match the UID in record")
        if pod["spec"].get("nodeName") != node:
            raise _refused(request, "node requested token bound to a pod scheduled on a different node")


def _refused(request: AdmissionRequest, why: str) -> errors.Forbidden:
    return errors.forbidden(request.resource, request.name, why)


def check_claim(request: AdmissionRequest) -> None:
    """Let a kubelet change a claim's status only, and nothing else of the claim with it."""
    if request.subresource != "status" or request.operation != "UPDATE":
        raise _refused(request, "may only update PVC status")
    new, old = request.object or {}, request.old or {}
    if new.get("spec") != old.get("spec"):
        raise _refused(request, "is not allowed to update fields other than status")


def check_node(request: AdmissionRequest, node: str) -> None:
    """Let a kubelet write its own Node, without protected labels and without changing its taints."""
    if request.name != node:
        raise _refused(request, f'node "{node}" is not allowed to modify node "{request.name}"')
    new, old = request.object, request.old
    if request.operation == "CREATE" and new is not None:
        if (new.get("spec") or {}).get("configSource"):
            raise _refused(request, f'node "{node}" is not allowed to create pods with a non-nil configSource')
        forbidden = forbidden_labels(new["metadata"].get("labels") or {})
        if forbidden:
            raise _refused(
                request, f'node "{node}" is not allowed to set the following labels: {", ".join(sorted(forbidden))}'
            )
        return
    if request.operation != "UPDATE" or new is None or old is None:
        return
    if ((new.get("spec") or {}).get("taints") or []) != ((old.get("spec") or {}).get("taints") or []):
        raise _refused(request, f'node "{node}" is not allowed to modify taints')
    if (new["metadata"].get("ownerReferences") or []) != (old["metadata"].get("ownerReferences") or []):
        raise _refused(request, f'node "{node}" is not allowed to modify ownerReferences')
    now, before = new["metadata"].get("labels") or {}, old["metadata"].get("labels") or {}
    changed = {key for key in now.keys() | before.keys() if now.get(key) != before.get(key)}
    forbidden = forbidden_labels(changed)
    if forbidden:
        raise _refused(request, f"is not allowed to modify labels: {', '.join(sorted(forbidden))}")


def forbidden_labels(keys: set[str] | dict[str, str]) -> set[str]:
    """Return the label keys that a kubelet must leave alone: node-restriction ones, and kubernetes.io ones not meant for it."""
    found = set()
    for key in keys:
        prefix, slash, _ = key.partition("/")
        if not slash or key in _KUBELET_LABELS:
            continue
        if _within(prefix, RESTRICTED_PREFIX.rstrip("/")) or (
            (_within(prefix, "kubernetes.io") or _within(prefix, "k8s.io"))
            and not any(_within(prefix, p) for p in _KUBELET_PREFIXES)
        ):
            found.add(key)
    return found


def _within(prefix: str, domain: str) -> bool:
    return prefix == domain or prefix.endswith(f".{domain}")
