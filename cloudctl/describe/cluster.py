"""Nodes, Services, PersistentVolumeClaims, PersistentVolumes, Secrets, ConfigMaps, and any other kind."""

from __future__ import annotations

import base64
from typing import Any

from api import pods, quantity
from api.meta import controller_of
from api.pods import is_terminal
from api.types import Object
from cloudctl.describe.text import Page, labels, since
from cloudctl.describe.workloads import Related, head

_ROLE = "node-role.kubernetes.io/"


def node(page: Page, obj: Object, related: Related) -> None:
    """A Node with its pods and what they ask for."""
    spec, status, meta = obj.get("spec") or {}, obj.get("status") or {}, obj["metadata"]
    page.put("Name", meta["name"])
    roles = [label.removeprefix(_ROLE) for label in meta.get("labels") or {} if label.startswith(_ROLE)]
    page.put("Roles", ",".join(roles) or "<none>")
    page.mapping("Labels", meta.get("labels"))
    page.mapping("Annotations", meta.get("annotations"), mark=": ")
    page.put("CreationTimestamp", meta.get("creationTimestamp", ""))
    page.put("Taints", "\n".join(_taint(t) for t in spec.get("taints") or ()) or "<none>")
    page.put("Unschedulable", bool(spec.get("unschedulable")))
    rows = [
        [c["type"], c["status"], c.get("lastHeartbeatTime") or "", c.get("lastTransitionTime") or "", c.get("reason", ""),
         c.get("message", "")]
        for c in status.get("conditions") or ()
    ]  # fmt: skip
    page.table("Conditions", ["Type", "Status", "LastHeartbeatTime", "LastTransitionTime", "Reason", "Message"], rows)
    page.line("Addresses:")
    for address in status.get("addresses") or ():
        page.put(address["type"], address["address"], 1)
    for title, field in (("Capacity", "capacity"), ("Allocatable", "allocatable")):
        page.line(f"{title}:")
        for name, value in sorted((status.get(field) or {}).items()):
            page.put(name, value, 1)
    page.line("System Info:")
    for name, value in (status.get("nodeInfo") or {}).items():
        page.put(name[:1].upper() + name[1:], value, 1)
    page.some("PodCIDR", spec.get("podCIDR"))
    page.some("ProviderID", spec.get("providerID"))
    _node_pods(page, status.get("allocatable") or {}, [p for p in related.get("pods", []) if not is_terminal(p)])


def _taint(taint: Object) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint['effect']}"


def _node_pods(page: Page, allocatable: Object, found: list[Object]) -> None:
    totals: dict[str, int] = {}
    rows = []
    for pod in found:
        asked = pods.requests(pod)
        for name, value in asked.items():
            totals[name] = totals.get(name, 0) + value
        cpu, memory = f"{asked.get('cpu', 0)}m", _mebibytes(asked.get("memory", 0))
        meta = pod["metadata"]
        rows.append([meta["namespace"], meta["name"], cpu, memory, since(meta.get("creationTimestamp"))])
    headers = ["Namespace", "Name", "CPU Requests", "Memory Requests", "Age"]
    page.table(f"Non-terminated Pods ({len(rows)} in total)", headers, rows)
    rows = []
    for name in ("cpu", "memory"):
        have = quantity.milli(str(allocatable.get(name, "0"))) // (1 if name == "cpu" else 1000)
        share = f"{100 * totals.get(name, 0) // have}%" if have else "0%"
        asked_for = f"{totals.get(name, 0)}m" if name == "cpu" else _mebibytes(totals.get(name, 0))
        rows.append([name, f"{asked_for} ({share})"])
    page.table("Allocated resources", ["Resource", "Requests"], rows)


def _mebibytes(value: int) -> str:
    return f"{value // (1 << 20)}Mi" if value else "0"


def service(page: Page, obj: Object, related: Related) -> None:
    """A Service with the addresses behind it."""
    spec, status = obj["spec"], obj.get("status") or {}
    head(page, obj)
    page.put("Selector", labels(spec.get("selector")))
    page.put("Type", spec.get("type", ""))
    page.some("IP Family Policy", spec.get("ipFamilyPolicy"))
    page.put("IP", spec.get("clusterIP") or "<none>")
    page.put("IPs", ",".join(spec.get("clusterIPs") or ()) or "<none>")
    page.some("External Name", spec.get("externalName"))
    addresses = [
        i.get("ip") or i.get("hostname") or "" for i in (status.get("loadBalancer") or {}).get("ingress") or ()
    ]
    page.some("LoadBalancer Ingress", ", ".join(addresses))
    for port in spec.get("ports") or ():
        name, protocol = port.get("name") or "<unset>", port.get("protocol", "TCP")
        page.put("Port", f"{name}  {port['port']}/{protocol}")
        page.put("TargetPort", f"{port.get('targetPort', port['port'])}/{protocol}")
        if port.get("nodePort"):
            page.put("NodePort", f"{name}  {port['nodePort']}/{protocol}")
        page.put("Endpoints", _endpoints(port, related.get("endpointslices", [])))
    page.put("Session Affinity", spec.get("sessionAffinity", "None"))
    page.some("External Traffic Policy", spec.get("externalTrafficPolicy"))
    page.some("Internal Traffic Policy", spec.get("internalTrafficPolicy"))


def _endpoints(port: Object, slices: list[Object]) -> str:
    found = []
    for part in slices:
        for candidate in part.get("ports") or ():
            if (candidate.get("name") or "") != (port.get("name") or ""):
                continue
            for endpoint in part.get("endpoints") or ():
                if (endpoint.get("conditions") or {}).get("ready") is not False:
                    found += [f"{address}:{candidate.get('port')}" for address in endpoint.get("addresses") or ()]
    more = f" + {len(found) - 3} more..." if len(found) > 3 else ""
    return ",".join(found[:3]) + more if found else "<none>"


def claim(page: Page, obj: Object, related: Related) -> None:
    """A PersistentVolumeClaim and who uses it."""
    spec, status, meta = obj["spec"], obj.get("status") or {}, obj["metadata"]
    page.put("Name", meta["name"])
    page.put("Namespace", meta["namespace"])
    page.put("StorageClass", spec.get("storageClassName", ""))
    page.put("Status", "Terminating" if meta.get("deletionTimestamp") else status.get("phase", ""))
    page.put("Volume", spec.get("volumeName", ""))
    page.mapping("Labels", meta.get("labels"))
    page.mapping("Annotations", meta.get("annotations"), mark=": ")
    page.put("Finalizers", f"[{' '.join(meta.get('finalizers') or ())}]")
    page.put("Capacity", (status.get("capacity") or {}).get("storage", ""))
    page.put("Access Modes", ",".join(status.get("accessModes") or spec.get("accessModes") or ()))
    page.put("VolumeMode", spec.get("volumeMode", ""))
    users = [
        pod["metadata"]["name"]
        for pod in related.get("pods", [])
        for volume in pod["spec"].get("volumes") or ()
        if (volume.get("persistentVolumeClaim") or {}).get("claimName") == meta["name"]
    ]
    page.put("Used By", "\n".join(users) or "<none>")


def secret(page: Page, obj: Object, related: Related) -> None:
    """A Secret: its keys and how long their values are."""
    head(page, obj)
    page.put("Type", obj.get("type", ""))
    page.line("\nData\n====")
    for key, value in sorted((obj.get("data") or {}).items()):
        page.put(key, f"{len(base64.b64decode(value))} bytes")


def configmap(page: Page, obj: Object, related: Related) -> None:
    """A ConfigMap with its values."""
    head(page, obj)
    page.line("\nData\n====")
    for key, value in sorted((obj.get("data") or {}).items()):
        page.line(f"{key}:\n----\n{value}\n")
    page.line("\nBinaryData\n====")
    for key, value in sorted((obj.get("binaryData") or {}).items()):
        page.put(key, f"{len(base64.b64decode(value))} bytes")


def anything(page: Page, obj: Object, related: Related) -> None:
    """Any kind: its metadata, then every field as it stands."""
    head(page, obj)
    page.put("API Version", obj.get("apiVersion", ""))
    page.put("Kind", obj.get("kind", ""))
    page.put("Creation Timestamp", obj["metadata"].get("creationTimestamp", ""))
    owner = controller_of(obj)
    if owner:
        page.put("Controlled By", f"{owner['kind']}/{owner['name']}")
    _fields(page, {k: v for k, v in obj.items() if k not in ("apiVersion", "kind", "metadata")}, 0)


def _fields(page: Page, values: dict[str, Any], depth: int) -> None:
    for key, value in values.items():
        label = key[:1].upper() + key[1:]
        if isinstance(value, dict):
            page.line(f"{'  ' * depth}{label}:")
            _fields(page, value, depth + 1)
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            page.line(f"{'  ' * depth}{label}:")
            for item in value:
                if isinstance(item, dict):
                    _fields(page, item, depth + 1)
                else:
                    page.line(f"{'  ' * (depth + 1)}{item}")
        elif isinstance(value, list):
            page.put(label, "\n".join(map(str, value)) or "<none>", depth)
        else:
            page.put(label, value, depth)
