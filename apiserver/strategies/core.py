"""Strategies of the core group: pods, namespaces, services, secrets, volumes, and certificate requests."""

from __future__ import annotations

from binascii import b2a_base64

from api import errors, meta, pods
from api.types import Object

_NAMESPACE_LABEL = "kubernetes.io/metadata.name"


def create_pod(obj: Object) -> None:
    """A pod begins Pending, with the quality-of-service class its resources give it."""
    obj["status"] = {"phase": "Pending", "qosClass": pods.qos_class(obj)}


def update_pod(new: Object, old: Object) -> None:
    """A write of the pod leaves the class as it was."""
    new["status"] = old.get("status") or {}


def pod_status(new: Object, old: Object) -> None:
    """A status write keeps the owner references and the class; observedGeneration may not run ahead."""
    status = new.setdefault("status", {})
    if "qosClass" not in status and "qosClass" in (old.get("status") or {}):
        status["qosClass"] = old["status"]["qosClass"]
    _keep(new, old, "ownerReferences")


def _keep(new: Object, old: Object, name: str) -> None:
    if name in old["metadata"]:
        new["metadata"][name] = old["metadata"][name]
    else:
        new["metadata"].pop(name, None)


def create_namespace(obj: Object) -> None:
    """A namespace begins Active, carries its name as a label, and is emptied before it goes."""
    labels = obj["metadata"].get("labels") or {}
    obj["metadata"]["labels"] = labels | {_NAMESPACE_LABEL: obj["metadata"]["name"]}
    obj["status"] = {"phase": "Active"}
    finalizers = (obj.get("spec") or {}).get("finalizers") or []
    obj["spec"] = {"finalizers": [*finalizers, *(() if "kubernetes" in finalizers else ("kubernetes",))]}


def update_namespace(new: Object, old: Object) -> None:
    """Finalizers of the spec are changed through /finalize alone."""
    new["spec"] = old.get("spec") or {}
    labels = new["metadata"].get("labels") or {}
    new["metadata"]["labels"] = labels | {_NAMESPACE_LABEL: new["metadata"]["name"]}


def create_service(obj: Object) -> None:
    """A service begins without load balancer addresses."""
    obj["status"] = {"loadBalancer": {}}


def _string_data(obj: Object) -> None:
    """stringData is write-only: it goes into data."""
    for name, text in (obj.pop("stringData", None) or {}).items():
        obj.setdefault("data", {})[name] = _base64(text)


def _base64(text: str) -> str:
    return b2a_base64(text.encode(), newline=False).decode()


def create_secret(obj: Object) -> None:
    """A secret has a type."""
    _string_data(obj)
    obj.setdefault("type", "Opaque")


def update_secret(new: Object, old: Object) -> None:
    """A secret that says no type keeps the one it has."""
    _string_data(new)
    if not new.get("type"):
        new["type"] = old.get("type", "Opaque")


def create_pending(obj: Object) -> None:
    """Volumes and claims begin Pending."""
    obj["status"] = {"phase": "Pending"}


def create_csr(obj: Object) -> None:
    """A request begins undecided. (Who asks is set by admission.)"""
    obj["status"] = {}


def update_csr(new: Object, old: Object) -> None:
    """What has been asked for stays."""
    new["spec"] = old.get("spec") or {}


def finalize_namespace(new: Object, old: Object) -> Object:
    """A write to /finalize changes the spec's finalizers and nothing else."""
    if meta.name(new) != meta.name(old):
        raise errors.BadRequest("the name of the namespace may not change")
    return old | {"spec": (old.get("spec") or {}) | {"finalizers": (new.get("spec") or {}).get("finalizers") or []}}


def ephemeral_containers(new: Object, old: Object) -> Object:
    """A write to /ephemeralcontainers adds ephemeral containers and changes nothing else."""
    spec = {key: value for key, value in old["spec"].items() if key != "ephemeralContainers"}
    added = (new.get("spec") or {}).get("ephemeralContainers")
    if added:
        spec["ephemeralContainers"] = added
    return old | {"metadata": old["metadata"] | _version(new), "spec": spec}


def resize(new: Object, old: Object) -> Object:
    """A write to /resize changes the resources of containers and nothing else."""
    spec = dict(old["spec"])
    for field in ("containers", "initContainers"):
        wanted = {c.get("name"): c for c in (new.get("spec") or {}).get(field) or ()}
        if field in spec:
            spec[field] = [_resized(container, wanted.get(container["name"])) for container in spec[field]]
    return old | {"metadata": old["metadata"] | _version(new), "spec": spec}


def _resized(container: Object, wanted: Object | None) -> Object:
    if wanted is None:
        return container
    names = ("resources", "resizePolicy")
    return {k: v for k, v in container.items() if k not in names} | {k: wanted[k] for k in names if k in wanted}


def _version(new: Object) -> Object:
    return {k: v for k, v in new["metadata"].items() if k == "resourceVersion"}


POD_SUBRESOURCES = {"ephemeralcontainers": ephemeral_containers, "resize": resize}
