"""Small plugins that complete objects: tolerations, storage class, ingress class, finalizers, taints of new nodes."""

from collections.abc import Callable

from api import errors
from api.resources import (
    INGRESSCLASSES,
    INGRESSES,
    NODES,
    PERSISTENTVOLUMECLAIMS,
    PERSISTENTVOLUMES,
    PODS,
    STORAGECLASSES,
)
from api.types import Object, Resource
from apiserver.auth.lookup import Lookup
from apiserver.plugins import AdmissionRequest

NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
TOLERATION_SECONDS = 300
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
DEFAULT_CLASS_BETA = "storageclass.beta.kubernetes.io/is-default-class"
CLASS_BETA = "volume.beta.kubernetes.io/storage-class"
DEFAULT_INGRESS_CLASS = "ingressclass.kubernetes.io/is-default-class"
INGRESS_CLASS = "kubernetes.io/ingress.class"
FINALIZERS = {
    PERSISTENTVOLUMECLAIMS: "kubernetes.io/pvc-protection",
    PERSISTENTVOLUMES: "kubernetes.io/pv-protection",
}


def _is_new(request: AdmissionRequest, resource: Resource) -> bool:
    return request.operation == "CREATE" and request.resource is resource and not request.subresource


async def default_toleration_seconds(request: AdmissionRequest) -> None:
    """DefaultTolerationSeconds: a pod stays for five minutes on a node that is not ready or not reachable."""
    if (
        request.resource is not PODS
        or request.subresource
        or request.operation not in ("CREATE", "UPDATE")
        or not request.object
    ):
        return
    spec = request.object["spec"]
    present = spec.get("tolerations") or []
    missing = [
        key for key in (NOT_READY, UNREACHABLE) if not any(_tolerates(toleration, key) for toleration in present)
    ]
    if missing:
        added = [
            {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATION_SECONDS}
            for key in missing
        ]
        spec["tolerations"] = [*present, *added]


def _tolerates(toleration: Object, key: str) -> bool:
    return toleration.get("key", "") in (key, "") and toleration.get("effect", "") in ("NoExecute", "")


def _default_of(candidates: list[Object], is_default: Callable[[Object], bool]) -> str | None:
    """Return the newest default; of equally old ones the first by name."""
    found = sorted((c for c in candidates if is_default(c)), key=lambda c: str(c["metadata"]["name"]))
    found.sort(key=lambda c: str(c["metadata"].get("creationTimestamp", "")), reverse=True)
    return str(found[0]["metadata"]["name"]) if found else None


class DefaultStorageClass:
    """A claim that names no class gets the default one; the empty name asks for none and stays."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    async def __call__(self, request: AdmissionRequest) -> None:
        """Complete a claim that is created."""
        claim = request.object
        if not _is_new(request, PERSISTENTVOLUMECLAIMS) or claim is None:
            return
        if claim["spec"].get("storageClassName") is not None or CLASS_BETA in (
            claim["metadata"].get("annotations") or {}
        ):
            return
        name = _default_of(list(self._lookup.list(STORAGECLASSES)), _is_default_class)
        if name:
            claim["spec"]["storageClassName"] = name


def _is_default_class(storage_class: Object) -> bool:
    annotations = storage_class["metadata"].get("annotations") or {}
    return "true" in (annotations.get(DEFAULT_CLASS), annotations.get(DEFAULT_CLASS_BETA))


class DefaultIngressClass:
    """An ingress that names no class gets the default one; two defaults are Forbidden, because nobody could tell."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    async def __call__(self, request: AdmissionRequest) -> None:
        """Complete an ingress that is created."""
        ingress = request.object
        if not _is_new(request, INGRESSES) or ingress is None:
            return
        annotations = ingress["metadata"].get("annotations") or {}
        if ingress["spec"].get("ingressClassName") is not None or INGRESS_CLASS in annotations:
            return
        name = _default_of(list(self._lookup.list(INGRESSCLASSES)), _is_default_ingress_class)
        if name:
            ingress["spec"]["ingressClassName"] = name


def _is_default_ingress_class(ingress_class: Object) -> bool:
    return (ingress_class["metadata"].get("annotations") or {}).get(DEFAULT_INGRESS_CLASS) == "true"


async def storage_object_in_use_protection(request: AdmissionRequest) -> None:
    """StorageObjectInUseProtection: volumes and claims get the finalizer that keeps them while they are in use."""
    finalizer = FINALIZERS.get(request.resource)
    if finalizer is None or not _is_new(request, request.resource) or request.object is None:
        return
    meta = request.object["metadata"]
    if finalizer not in (meta.get("finalizers") or ()):
        meta["finalizers"] = [*(meta.get("finalizers") or ()), finalizer]


async def taint_nodes_by_condition(request: AdmissionRequest) -> None:
    """TaintNodesByCondition: a new node takes no pods before it has said that it is ready."""
    node = request.object
    if not _is_new(request, NODES) or node is None:
        return
    spec = node.setdefault("spec", {})
    taints = spec.get("taints") or []
    if not any(taint.get("key") == NOT_READY and taint.get("effect") == "NoSchedule" for taint in taints):
        spec["taints"] = [*taints, {"key": NOT_READY, "effect": "NoSchedule"}]


class PersistentVolumeClaimResize:
    """A claim may grow only when its class allows it."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup

    async def __call__(self, request: AdmissionRequest) -> None:
        """Check an update of a claim's size."""
        new, old = request.object, request.old
        if request.resource is not PERSISTENTVOLUMECLAIMS or request.operation != "UPDATE" or request.subresource:
            return
        if new is None or old is None or _size(new) == _size(old) or not _size(new):
            return
        if (old.get("status") or {}).get("phase") != "Bound":
            raise errors.forbidden(
                request.resource, request.name, "Only bound persistent volume claims can be expanded"
            )
        name = old["spec"].get("storageClassName") or ""
        storage_class = self._lookup.get(STORAGECLASSES, "", name) if name else None
        if not (storage_class or {}).get("allowVolumeExpansion"):
            why = (
                "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc "
                "must support resize"
            )
            raise errors.forbidden(request.resource, request.name, why)


def _size(claim: Object) -> object:
    return ((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage")


async def deny_service_external_ips(request: AdmissionRequest) -> None:
    """DenyServiceExternalIPs (off by default): no new spec.externalIPs."""
    if request.resource.plural != "services" or request.resource.group or request.subresource or request.object is None:
        return
    old = set(((request.old or {}).get("spec") or {}).get("externalIPs") or ())
    if set(request.object["spec"].get("externalIPs") or ()) - old:
        raise errors.forbidden(request.resource, request.name, "Use of external IPs is denied by admission control.")
