"""Downward fields: fieldRef and resourceFieldRef, as environment variables and as files. Pure.

Source: Kubernetes' "Downward API".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from api import quantity
from api.types import Object
from kubelet import podspec
from kubelet.resources import Capacity, limited, requested

_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")


class FieldFault(Exception):
    """The reference names a field that cannot be had."""


def _escape(text: str) -> str:
    """A Go string literal without its quotes: how label files are written."""
    table = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return "".join(table.get(c, c) for c in text)


def _lines(values: Mapping[str, str]) -> str:
    return "\n".join(f'{key}="{_escape(values[key])}"' for key in sorted(values))


def field(pod: Object, path: str, pod_ips: Sequence[str] = (), node_ips: Sequence[str] = ()) -> str:
    """The value of a fieldPath. Raises FieldFault."""
    meta, spec = pod["metadata"], pod["spec"]
    if match := _SUBSCRIPT.fullmatch(path):
        return str((meta.get(match[1]) or {}).get(match[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        return _lines(meta.get(path.partition(".")[2]) or {})
    values = {
        "metadata.name": meta.get("name", ""),
        "metadata.namespace": meta.get("namespace", ""),
        "metadata.uid": meta.get("uid", ""),
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.hostIP": node_ips[0] if node_ips else "",
        "status.hostIPs": ",".join(node_ips),
        "status.podIP": pod_ips[0] if pod_ips else "",
        "status.podIPs": ",".join(pod_ips),
    }
    if path not in values:
        raise FieldFault(f"unsupported fieldPath: {path}")
    return str(values[path])


def resource(pod: Object, own: str, ref: Object, capacity: Capacity) -> str:
    """The value of a resourceFieldRef, `own` being the container it stands in. Raises FieldFault.

    A limit that is not set is what the node can give.
    """
    name = ref.get("containerName") or own
    container = podspec.find_container(pod, name)
    if container is None:
        raise FieldFault(f"container {name} not found")
    kind, _, what = str(ref["resource"]).partition(".")
    if kind == "limits":
        amount = limited(container, what) or _allocatable(capacity, what)
    elif kind == "requests":
        amount = requested(container, what)
    else:
        raise FieldFault(f"unsupported container resource: {ref['resource']}")
    divisor = str(ref.get("divisor") or "1")
    if quantity.parse(divisor) == 0:
        divisor = "1"
    if what == "cpu":
        return str(-(-amount // max(1, quantity.milli(divisor))))
    return str(-(-amount // max(1, quantity.value(divisor))))


def _allocatable(capacity: Capacity, what: str) -> int:
    amounts = {
        "cpu": capacity.cpu - capacity.reserved_cpu,
        "memory": capacity.memory - capacity.reserved_memory,
        "ephemeral-storage": capacity.storage - capacity.reserved_storage,
    }
    return amounts.get(what, 0)
