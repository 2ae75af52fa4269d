"""A container's environment variables. Pure: what they refer to is handed in.

Order, last wins: service variables, envFrom, env. `$(NAME)` is replaced by a variable defined before, `$$` is a dollar.
Source: Kubernetes' "Define Dependent Environment Variables" and "Discovering services".
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from api.types import Object
from kubelet import fields
from kubelet.resources import Capacity

_REFERENCE = re.compile(r"\$(?:(\$)|\(([^)]*)\))")
Lookup = Callable[[str, str], Object | None]
"""(kind "configmaps" or "secrets", name) → the object of the pod's namespace, None if there is none."""


class EnvironmentFault(Exception):
    """Something a variable refers to is not there (waiting reason CreateContainerConfigError)."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where values come from."""

    lookup: Lookup
    capacity: Capacity
    services: Sequence[Object] = ()
    pod_ips: Sequence[str] = ()
    node_ips: Sequence[str] = ()
    api_service: Object | None = None
    extra: Mapping[str, str] = field(default_factory=dict)


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace `$(NAME)`; a name that is not known stays as it is written."""

    def replace(match: re.Match[str]) -> str:
        if match[1]:
            return "$"
        return values.get(match[2], match[0])

    return _REFERENCE.sub(replace, text)


def _variable_name(name: str) -> str:
    return name.upper().replace("-", "_")


def service_variables(services: Iterable[Object]) -> dict[str, str]:
    """`REDIS_SERVICE_HOST` and the Docker-links variables of each Service with a cluster address."""
    result: dict[str, str] = {}
    for service in services:
        spec = service["spec"]
        address = spec.get("clusterIP")
        ports = spec.get("ports") or ()
        if not address or address == "None" or not ports:
            continue
        name = _variable_name(service["metadata"]["name"])
        result[f"{name}_SERVICE_HOST"] = address
        result[f"{name}_SERVICE_PORT"] = str(ports[0]["port"])
        for port in ports:
            if port.get("name"):
                result[f"{name}_SERVICE_PORT_{_variable_name(port['name'])}"] = str(port["port"])
        for index, port in enumerate(ports):
            protocol = port.get("protocol") or "TCP"
            host = f"[{address}]" if ":" in address else address
            url = f"{protocol.lower()}://{host}:{port['port']}"
            if index == 0:
                result[f"{name}_PORT"] = url
            prefix = f"{name}_PORT_{port['port']}_{protocol}"
            result[prefix] = url
            result[f"{prefix}_PROTO"] = protocol.lower()
            result[f"{prefix}_PORT"] = str(port["port"])
            result[f"{prefix}_ADDR"] = address
    return result


def _visible(pod: Object, source: Source) -> list[Object]:
    """The API's own Service always; those of the pod's namespace if it wants links."""
    master = [source.api_service] if source.api_service else []
    links = pod["spec"].get("enableServiceLinks")
    if links is False:
        return master
    space = pod["metadata"].get("namespace")
    return master + [s for s in source.services if s["metadata"].get("namespace") == space]


def _data(kind: str, obj: Object) -> dict[str, str]:
    data = obj.get("data") or {}
    if kind == "configmaps":
        return dict(data)
    return {key: base64.b64decode(text).decode(errors="surrogateescape") for key, text in data.items()}


def _from_all(entry: Object, lookup: Lookup) -> dict[str, str]:
    """One entry of envFrom."""
    kind, ref = (
        ("configmaps", entry["configMapRef"])
        if entry.get("configMapRef")
        else ("secrets", entry.get("secretRef") or {})
    )
    obj = lookup(kind, ref.get("name", ""))
    if obj is None:
        if ref.get("optional"):
            return {}
        raise EnvironmentFault(f'{kind.removesuffix("s")} "{ref.get("name", "")}" not found')
    prefix = entry.get("prefix") or ""
    return {prefix + key: value for key, value in _data(kind, obj).items() if "=" not in key and key}


def _from_key(kind: str, ref: Object, lookup: Lookup, space: str) -> str | None:
    """A configMapKeyRef or secretKeyRef; None for an optional one that is not there."""
    obj = lookup(kind, ref.get("name", ""))
    word = "configmap" if kind == "configmaps" else "secret"
    if obj is None:
        if ref.get("optional"):
            return None
        raise EnvironmentFault(f'{word} "{ref.get("name", "")}" not found')
    data = _data(kind, obj)
    if ref["key"] not in data:
        if ref.get("optional"):
            return None
        label = "ConfigMap" if kind == "configmaps" else "Secret"
        raise EnvironmentFault(f"couldn't find key {ref['key']} in {label} {space}/{ref.get('name', '')}")
    return data[ref["key"]]


def _value(pod: Object, container: Object, ref: Object, source: Source) -> str | None:
    space = pod["metadata"].get("namespace", "")
    try:
        if found := ref.get("fieldRef"):
            return fields.field(pod, found["fieldPath"], source.pod_ips, source.node_ips)
        if found := ref.get("resourceFieldRef"):
            return fields.resource(pod, container["name"], found, source.capacity)
    except fields.FieldFault as error:
        raise EnvironmentFault(str(error)) from error
    if found := ref.get("configMapKeyRef"):
        return _from_key("configmaps", found, source.lookup, space)
    if found := ref.get("secretKeyRef"):
        return _from_key("secrets", found, source.lookup, space)
    return None


def environment(pod: Object, container: Object, source: Source) -> dict[str, str]:
    """The variables of a container. Raises EnvironmentFault."""
    services = service_variables(_visible(pod, source))
    result: dict[str, str] = {}
    for entry in container.get("envFrom") or ():
        result |= _from_all(entry, source.lookup)
    known = dict(result)
    for entry in container.get("env") or ():
        value: str | None
        if entry.get("valueFrom"):
            value = _value(pod, container, entry["valueFrom"], source)
            if value is None:
                continue
        else:
            value = expand(entry.get("value") or "", services | known)
        result[entry["name"]] = known[entry["name"]] = value
    return services | result


def references(pod: Object) -> set[tuple[str, str]]:
    """(kind, name) of every ConfigMap and Secret that the pod's variables and pull secrets refer to."""
    found: set[tuple[str, str]] = set()
    groups = ("initContainers", "containers", "ephemeralContainers")
    for container in [c for g in groups for c in pod["spec"].get(g) or ()]:
        for entry in container.get("envFrom") or ():
            for kind, part in (("configmaps", "configMapRef"), ("secrets", "secretRef")):
                if entry.get(part):
                    found.add((kind, entry[part].get("name", "")))
        for entry in container.get("env") or ():
            ref = entry.get("valueFrom") or {}
            for kind, part in (("configmaps", "configMapKeyRef"), ("secrets", "secretKeyRef")):
                if ref.get(part):
                    found.add((kind, ref[part].get("name", "")))
    for secret in pod["spec"].get("imagePullSecrets") or ():
        found.add(("secrets", secret.get("name", "")))
    return {pair for pair in found if pair[1]}
