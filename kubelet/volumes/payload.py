"""The files of configMap, secret, downwardAPI and projected volumes. Pure: what they refer to is handed in.

Source: Kubernetes' "Volumes" and "Projected Volumes".
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from api.types import Object
from kubelet import fields
from kubelet.environment import Lookup
from kubelet.resources import Capacity
from kubelet.volumes.writer import File

_DEFAULT_MODE = 0o644
Token = Callable[[Object], str]
"""A serviceAccountToken source → the token to write."""


class VolumeFault(Exception):
    """A volume cannot be made (yet); the text is for the FailedMount event."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where contents come from."""

    lookup: Lookup
    capacity: Capacity
    token: Token
    token_owner: int | None = None
    pod_ips: Sequence[str] = ()
    node_ips: Sequence[str] = ()


def _content(kind: str, obj: Object) -> dict[str, bytes]:
    binary = obj.get("data") if kind == "secrets" else obj.get("binaryData")
    result = {} if kind == "secrets" else {k: v.encode() for k, v in (obj.get("data") or {}).items()}
    return result | {k: base64.b64decode(v) for k, v in (binary or {}).items()}


def _keyed(kind: str, source: Object, name: str, mode: int, lookup: Lookup) -> dict[str, File]:
    """Files of a ConfigMap or Secret, all keys or the chosen `items`."""
    word = "configmap" if kind == "configmaps" else "secret"
    obj = lookup(kind, name)
    optional = bool(source.get("optional"))
    if obj is None:
        if optional:
            return {}
        raise VolumeFault(f'{word} "{name}" not found')
    content = _content(kind, obj)
    items = source.get("items")
    if not items:
        return {key: File(data, mode) for key, data in content.items()}
    files = {}
    for item in items:
        if item["key"] in content:
            own = item.get("mode")
            files[item["path"]] = File(content[item["key"]], mode if own is None else own)
        elif not optional:
            raise VolumeFault(f"references non-existent {word.replace('configmap', 'config')} key: {item['key']}")
    return files


def _downward(pod: Object, items: Sequence[Object], mode: int, source: Source) -> dict[str, File]:
    files = {}
    for item in items:
        try:
            if ref := item.get("fieldRef"):
                text = fields.field(pod, ref["fieldPath"], source.pod_ips, source.node_ips)
            else:
                text = fields.resource(pod, "", item["resourceFieldRef"], source.capacity)
        except fields.FieldFault as error:
            raise VolumeFault(str(error)) from error
        own = item.get("mode")
        files[item["path"]] = File(text.encode(), mode if own is None else own)
    return files


def _mode(source: Object) -> int:
    value = source.get("defaultMode")
    return _DEFAULT_MODE if value is None else int(value)


def _projected(pod: Object, spec: Object, source: Source) -> dict[str, File]:
    files: dict[str, File] = {}
    mode = _mode(spec)
    for part in spec.get("sources") or ():
        if ref := part.get("configMap"):
            files |= _keyed("configmaps", ref, ref.get("name", ""), mode, source.lookup)
        elif ref := part.get("secret"):
            files |= _keyed("secrets", ref, ref.get("name", ""), mode, source.lookup)
        elif (ref := part.get("downwardAPI")) is not None:
            files |= _downward(pod, ref.get("items") or (), mode, source)
        elif ref := part.get("serviceAccountToken"):
            restricted = source.token_owner is not None or _fs_group(pod) is not None
            token_mode = 0o600 if restricted else mode
            files[ref["path"]] = File(source.token(ref).encode(), token_mode, source.token_owner)
        else:
            # Left out, its files would be missing from a volume that looks complete.
            named = next((kind for kind, value in part.items() if value is not None), "without a type")
            raise VolumeFault(f"projected source {named} is not supported")
    return files


def _fs_group(pod: Object) -> int | None:
    value = (pod["spec"].get("securityContext") or {}).get("fsGroup")
    return None if value is None else int(value)


def token_owner(pod: Object) -> int | None:
    """The uid all containers run as, if they agree: the token then belongs to it."""
    shared = (pod["spec"].get("securityContext") or {}).get("runAsUser")
    users = set()
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for container in pod["spec"].get(group) or ():
            own = (container.get("securityContext") or {}).get("runAsUser")
            users.add(shared if own is None else own)
    only = users.pop() if len(users) == 1 else None
    return None if only is None else int(only)


def render(pod: Object, volume: Object, source: Source) -> Mapping[str, File] | None:
    """The files of a volume, or None for a volume of another type. Raises VolumeFault."""
    if (spec := volume.get("configMap")) is not None:
        return _keyed("configmaps", spec, spec.get("name", ""), _mode(spec), source.lookup)
    if (spec := volume.get("secret")) is not None:
        return _keyed("secrets", spec, spec.get("secretName", ""), _mode(spec), source.lookup)
    if (spec := volume.get("downwardAPI")) is not None:
        return _downward(pod, spec.get("items") or (), _mode(spec), source)
    if (spec := volume.get("projected")) is not None:
        return _projected(pod, spec, source)
    return None


def references(pod: Object) -> set[tuple[str, str]]:
    """(kind, name) of every ConfigMap and Secret that volumes refer to."""
    found: set[tuple[str, str]] = set()
    for volume in pod["spec"].get("volumes") or ():
        parts = [volume, *((volume.get("projected") or {}).get("sources") or ())]
        for part in parts:
            if ref := part.get("configMap"):
                found.add(("configmaps", ref.get("name", "")))
            if ref := part.get("secret"):
                found.add(("secrets", ref.get("secretName") or ref.get("name", "")))
    return {pair for pair in found if pair[1]}


def token_sources(volume: Object) -> list[Object]:
    """The serviceAccountToken sources of a volume."""
    parts = (volume.get("projected") or {}).get("sources") or ()
    return [part["serviceAccountToken"] for part in parts if part.get("serviceAccountToken")]


def plugin(volume: Object) -> str:
    """The directory name of the volume's type."""
    names = {"configMap": "configmap", "secret": "secret", "downwardAPI": "downward-api", "projected": "projected",
             "emptyDir": "empty-dir"}  # fmt: skip
    return next((name for key, name in names.items() if volume.get(key) is not None), "other")
