"""Claims, volumes, pods, nodes and Services as the API gives them."""

from __future__ import annotations

from typing import Any

from api.types import Object

DRIVER = "disk.cloudlet.dev"


def claim(name: str = "data", size: str = "1Gi", *, cls: str | None = "standard", **spec: Any) -> Object:
    found = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, "volumeMode": "Filesystem"}
    return {
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-of-{name}"},
        "spec": {**found, **({"storageClassName": cls} if cls is not None else {}), **spec},
        "status": {"phase": "Pending"},
    }


def volume(name: str = "pv", size: str = "1Gi", *, cls: str = "standard", **spec: Any) -> Object:
    found = {
        "capacity": {"storage": size},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "volumeMode": "Filesystem",
        "storageClassName": cls,
    }
    return {"metadata": {"name": name}, "spec": {**found, **spec}, "status": {"phase": "Pending"}}


def disk(name: str = "pv", **spec: Any) -> Object:
    return volume(name, csi={"driver": DRIVER, "volumeHandle": name}, **spec)


def storage_class(name: str = "standard", *, mode: str = "Immediate", default: bool = False, **more: Any) -> Object:
    noted = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    return {"metadata": {"name": name, "annotations": noted}, "provisioner": DRIVER, "volumeBindingMode": mode, **more}


def pod(name: str = "app", node: str = "n1", *claims: str, phase: str = "Running") -> Object:
    volumes = [{"name": c, "persistentVolumeClaim": {"claimName": c}} for c in claims or ("data",)]
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"nodeName": node, "volumes": volumes, "containers": []},
        "status": {"phase": phase},
    }


def node(
    name: str = "n1", ip: str = "10.98.0.11", *, ready: bool = True, in_use: tuple[str, ...] = (), **spec: Any
) -> Object:
    return {
        "metadata": {"name": name},
        "spec": spec,
        "status": {
            "addresses": [{"type": "InternalIP", "address": ip}],
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "volumesInUse": list(in_use),
        },
    }


def service(name: str = "web", **spec: Any) -> Object:
    ports = [{"name": "http", "port": 80, "nodePort": 30080, "protocol": "TCP"}]
    return {
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-of-{name}"},
        "spec": {"type": "LoadBalancer", "ports": ports, **spec},
    }
