"""The rules of containers: names, ports, environment, mounts, probes, hooks, resources."""

from collections.abc import Mapping
from typing import Any

from api import quantity
from api.types import Object
from api.validation import names
from api.validation.errors import Errors

_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_STANDARD = ("cpu", "memory", "ephemeral-storage")
_ENV_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.podIP",
    "status.hostIPs",
    "status.podIPs",
)
_ENV_RESOURCES = tuple(f"{side}.{name}" for side in ("limits", "requests") for name in _STANDARD)
_EPHEMERAL_REFUSED = ("ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle")


def containers(spec: Object, errors: Errors, path: str) -> None:
    """All containers of a pod spec: each by itself, and their names and host ports against one another."""
    volumes = {each.get("name"): each for each in spec.get("volumes") or ()}
    taken: set[str] = set()
    host_ports: set[tuple[Any, ...]] = set()
    for field in ("containers", "initContainers", "ephemeralContainers"):
        for index, each in enumerate(spec.get(field) or ()):
            here = f"{path}.{field}[{index}]"
            name = each.get("name")
            if name in taken:
                errors.duplicate(f"{here}.name", name)
            elif name:
                taken.add(name)
            _container(each, field, volumes, errors, here)
            _ports(each, host_ports if field == "containers" else set(), bool(spec.get("hostNetwork")), errors, here)


def _container(each: Object, field: str, volumes: Mapping[Any, Object], errors: Errors, path: str) -> None:
    if each.get("name"):
        errors.each(f"{path}.name", each["name"], names.dns_label(each["name"]))
    image = each.get("image")
    if not image:
        errors.required(f"{path}.image")
    elif image != image.strip():
        errors.invalid(f"{path}.image", image, "must not have leading or trailing whitespace")
    sidecar = each.get("restartPolicy") == "Always"
    if field == "initContainers" and not sidecar:
        for probe in ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle"):
            if each.get(probe):
                errors.forbidden(f"{path}.{probe}", "may not be set for init containers without restartPolicy=Always")
    if field == "ephemeralContainers":
        for refused in (*_EPHEMERAL_REFUSED, "resizePolicy"):
            if each.get(refused):
                errors.forbidden(f"{path}.{refused}", "cannot be set for an Ephemeral Container")
    _environment(each, errors, path)
    _mounts(each, volumes, errors, path)
    for kind in ("livenessProbe", "readinessProbe", "startupProbe"):
        if each.get(kind) is not None:
            _probe(each[kind], kind, errors, f"{path}.{kind}")
    for hook in ("postStart", "preStop"):
        handler = (each.get("lifecycle") or {}).get(hook)
        if handler is not None:
            _handler(handler, errors, f"{path}.lifecycle.{hook}")
    resources(each.get("resources"), errors, f"{path}.resources")
    security_context(each.get("securityContext"), errors, f"{path}.securityContext")


def _ports(each: Object, taken: set[tuple[Any, ...]], host_network: bool, errors: Errors, path: str) -> None:
    port_names: set[str] = set()
    for index, port in enumerate(each.get("ports") or ()):
        here = f"{path}.ports[{index}]"
        name, number, host = port.get("name"), port.get("containerPort"), port.get("hostPort")
        if name:
            errors.each(f"{here}.name", name, names.port_name(name))
            if name in port_names:
                errors.duplicate(f"{here}.name", name)
            port_names.add(name)
        if host:
            key = (port.get("protocol"), port.get("hostIP", ""), host)
            if key in taken:
                errors.duplicate(f"{here}.hostPort", "/".join(str(part) for part in key))
            taken.add(key)
            if host_network and host != number:
                errors.invalid(f"{here}.hostPort", host, "must match `containerPort` when `hostNetwork` is true")
        if port.get("hostIP"):
            errors.each(f"{here}.hostIP", port["hostIP"], names.ip(port["hostIP"]))


def _environment(each: Object, errors: Errors, path: str) -> None:
    for index, variable in enumerate(each.get("env") or ()):
        here = f"{path}.env[{index}]"
        if variable.get("name"):
            errors.each(f"{here}.name", variable["name"], names.env_name(variable["name"]))
        if variable.get("valueFrom") is not None:
            _value_from(variable["valueFrom"], bool(variable.get("value")), errors, f"{here}.valueFrom")
    for index, source in enumerate(each.get("envFrom") or ()):
        here = f"{path}.envFrom[{index}]"
        given = [kind for kind in ("configMapRef", "secretRef") if source.get(kind) is not None]
        if source.get("prefix"):
            errors.each(f"{here}.prefix", source["prefix"], names.env_name(source["prefix"]))
        if not given:
            errors.invalid(here, "", "must specify one of: `configMapRef` or `secretRef`")
        elif len(given) > 1:
            errors.invalid(here, "", "may not have more than one field specified at a time")
        elif not source[given[0]].get("name"):
            errors.required(f"{here}.{given[0]}.name")


def _value_from(source: Object, has_value: bool, errors: Errors, path: str) -> None:
    kinds = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
    given = [kind for kind in kinds if source.get(kind) is not None]
    if has_value:
        errors.invalid(path, "", "may not be specified when `value` is not empty")
    elif not given:
        errors.invalid(
            path, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
        )
    elif len(given) > 1:
        errors.invalid(path, "", "may not have more than one field specified at a time")
    if source.get("fieldRef") is not None:
        field_reference(source["fieldRef"], _ENV_FIELDS, errors, f"{path}.fieldRef")
    if source.get("resourceFieldRef") is not None:
        resource_reference(source["resourceFieldRef"], errors, f"{path}.resourceFieldRef")
    for kind in ("configMapKeyRef", "secretKeyRef"):
        reference = source.get(kind)
        if reference is None:
            continue
        if not reference.get("name"):
            errors.required(f"{path}.{kind}.name")
        if reference.get("key"):
            errors.each(f"{path}.{kind}.key", reference["key"], names.config_key(reference["key"]))


def field_reference(reference: Object, allowed: tuple[str, ...], errors: Errors, path: str) -> None:
    """A reference to one of the pod's own fields, or to one label or annotation by its key."""
    field = reference.get("fieldPath")
    if not field:
        return  # reported as missing already
    base, bracket, key = field.partition("[")
    if bracket:
        if base not in ("metadata.labels", "metadata.annotations") or not key.endswith("']") or key[:1] != "'":
            errors.invalid(
                f"{path}.fieldPath", field, f"error converting fieldPath: field label not supported: {field}"
            )
            return
        errors.each(f"{path}.fieldPath", field, names.qualified(key[1:-2].lower()))
    elif field not in allowed:
        errors.unsupported(f"{path}.fieldPath", field, allowed)


def resource_reference(reference: Object, errors: Errors, path: str) -> None:
    """A reference to a request or limit of a container."""
    name = reference.get("resource")
    if name and name not in _ENV_RESOURCES and not name.startswith(("limits.hugepages-", "requests.hugepages-")):
        errors.unsupported(f"{path}.resource", name, _ENV_RESOURCES)


def _mounts(each: Object, volumes: Mapping[Any, Object], errors: Errors, path: str) -> None:
    places: set[str] = set()
    for index, mount in enumerate(each.get("volumeMounts") or ()):
        here = f"{path}.volumeMounts[{index}]"
        if mount.get("name") and mount["name"] not in volumes:
            errors.not_found(f"{here}.name", mount["name"])
        place = mount.get("mountPath")
        if place in places:
            errors.invalid(f"{here}.mountPath", place, "must be unique")
        elif place:
            places.add(place)
        if mount.get("subPath") and mount.get("subPathExpr"):
            errors.invalid(
                f"{here}.subPathExpr", mount["subPathExpr"], "subPathExpr and subPath are mutually exclusive"
            )
        for field in ("subPath", "subPathExpr"):
            if mount.get(field):
                relative_path(mount[field], errors, f"{here}.{field}")
    for index, device in enumerate(each.get("volumeDevices") or ()):
        here = f"{path}.volumeDevices[{index}]"
        source = volumes.get(device.get("name"))
        if device.get("name") and source is None:
            errors.not_found(f"{here}.name", device["name"])
        elif source is not None and not (source.get("persistentVolumeClaim") or source.get("ephemeral")):
            errors.invalid(
                f"{here}.name",
                device["name"],
                "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
            )
        if device.get("devicePath") in places:
            errors.invalid(
                f"{here}.devicePath", device["devicePath"], "must not already exist as a path in volumeMounts"
            )


def relative_path(text: str, errors: Errors, path: str) -> None:
    """A path below some directory, which it may not leave."""
    if text.startswith("/"):
        errors.invalid(path, text, "must be a relative path")
    if ".." in text.split("/"):
        errors.invalid(path, text, "must not contain '..'")


def _probe(probe: Object, kind: str, errors: Errors, path: str) -> None:
    _handler(probe, errors, path)
    if kind != "readinessProbe" and probe.get("successThreshold", 1) != 1:
        errors.invalid(f"{path}.successThreshold", probe["successThreshold"], "must be 1")
    if kind == "readinessProbe" and probe.get("terminationGracePeriodSeconds") is not None:
        errors.invalid(
            f"{path}.terminationGracePeriodSeconds",
            probe["terminationGracePeriodSeconds"],
            "must not be set for readinessProbes",
        )


def _handler(handler: Object, errors: Errors, path: str) -> None:
    given = [kind for kind in _HANDLERS if handler.get(kind) is not None]
    if not given:
        errors.required(path, "must specify a handler type")
    for kind in given[1:]:
        errors.forbidden(f"{path}.{kind}", "may not specify more than 1 handler type")
    if handler.get("exec") is not None and not handler["exec"].get("command"):
        errors.required(f"{path}.exec.command")
    for kind in ("httpGet", "tcpSocket"):
        action = handler.get(kind)
        if action is not None and action.get("port") is not None:
            port(action["port"], errors, f"{path}.{kind}.port")
    for index, header in enumerate((handler.get("httpGet") or {}).get("httpHeaders") or ()):
        here = f"{path}.httpGet.httpHeaders[{index}].name"
        errors.each(here, header.get("name", ""), names.http_header(header.get("name", "")))


def port(value: int | str, errors: Errors, path: str) -> None:
    """A port by number or by name."""
    errors.each(path, value, names.port_number(value) if isinstance(value, int) else names.port_name(value))


def resources(found: Object | None, errors: Errors, path: str) -> None:
    """Requests and limits: their names, that none is negative, and that no request exceeds its limit."""
    if not found:
        return
    limits, requests = found.get("limits") or {}, found.get("requests") or {}
    for side, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            _amount(name, amount, errors, f"{path}.{side}")
    for name, amount in requests.items():
        limit = limits.get(name)
        if limit is None:
            if "/" in name and "kubernetes.io/" not in name:
                errors.required(f"{path}.limits", f"Limit must be set for non overcommitable resources: {name}")
            continue
        if ("/" in name or name.startswith("hugepages-")) and quantity.parse(amount) != quantity.parse(limit):
            errors.invalid(f"{path}.requests", amount, f"must be equal to {name} limit of {limit}")
        elif quantity.parse(amount) > quantity.parse(limit):
            errors.invalid(f"{path}.requests", amount, f"must be less than or equal to {name} limit of {limit}")


def _amount(name: str, amount: str, errors: Errors, path: str) -> None:
    here = f"{path}[{name}]"
    errors.each(here, name, names.qualified(name))
    if "/" not in name and name not in _STANDARD and not name.startswith("hugepages-"):
        errors.invalid(here, name, "must be a standard resource for containers")
    parsed = quantity.parse(amount)
    if parsed < 0:
        errors.invalid(here, amount, "must be greater than or equal to 0")
    elif name not in _STANDARD and parsed != int(parsed):
        errors.invalid(here, amount, "must be an integer")


def security_context(found: Object | None, errors: Errors, path: str) -> None:
    """User and group ids, privilege, profiles; of a container or of a pod."""
    if not found:
        return
    for field in ("runAsUser", "runAsGroup", "fsGroup"):
        value = found.get(field)
        if value is not None and not 0 <= value <= 2**31 - 1:
            errors.invalid(f"{path}.{field}", value, "must be between 0 and 2147483647, inclusive")
    if found.get("privileged") and found.get("allowPrivilegeEscalation") is False:
        errors.invalid(path, found, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true")
    for field in ("seccompProfile", "appArmorProfile"):
        profile = found.get(field) or {}
        if profile.get("type") == "Localhost" and not profile.get("localhostProfile"):
            errors.required(
                f"{path}.{field}.localhostProfile",
                f"must be set when {field.removesuffix('Profile')} type is Localhost",
            )
        elif profile.get("type") not in (None, "Localhost") and profile.get("localhostProfile"):
            errors.invalid(
                f"{path}.{field}.localhostProfile",
                profile["localhostProfile"],
                f"can only be set when {field.removesuffix('Profile')} type is Localhost",
            )
