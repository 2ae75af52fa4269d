"""Pods, and the pod templates of workloads."""

from __future__ import annotations

from typing import Any

from api import pods
from api.meta import controller_of
from api.types import Object
from cloudctl.describe.text import Page, joined, labels, resources, since

_SOURCES = (
    "emptyDir", "hostPath", "configMap", "secret", "downwardAPI", "projected", "persistentVolumeClaim", "image", "csi", "nfs",
    "ephemeral",
)  # fmt: skip


def pod(page: Page, obj: Object) -> None:
    """Everything about one pod but its events."""
    spec, status, meta = obj["spec"], obj.get("status") or {}, obj["metadata"]
    page.put("Name", meta["name"])
    page.put("Namespace", meta["namespace"])
    page.put("Priority", spec.get("priority", 0))
    page.some("Priority Class Name", spec.get("priorityClassName"))
    page.put("Service Account", spec.get("serviceAccountName", ""))
    node = spec.get("nodeName", "")
    page.put("Node", f"{node}/{status.get('hostIP', '')}" if node else "<none>")
    page.some("Start Time", status.get("startTime"))
    page.mapping("Labels", meta.get("labels"))
    page.mapping("Annotations", meta.get("annotations"), mark=": ")
    if meta.get("deletionTimestamp"):
        page.put("Status", f"Terminating (lasts {since(meta['deletionTimestamp'])})")
        page.put("Termination Grace Period", f"{meta.get('deletionGracePeriodSeconds', 0)}s")
    else:
        page.put("Status", status.get("phase", ""))
    page.some("Reason", status.get("reason"))
    page.some("Message", status.get("message"))
    page.put("IP", status.get("podIP", ""))
    page.line("IPs:")
    for entry in status.get("podIPs") or ():
        page.put("IP", entry.get("ip", ""), 1)
    owner = controller_of(obj)
    if owner:
        page.put("Controlled By", f"{owner['kind']}/{owner['name']}")
    for title, field, state in (
        ("Init Containers", "initContainers", "initContainerStatuses"),
        ("Containers", "containers", "containerStatuses"),
        ("Ephemeral Containers", "ephemeralContainers", "ephemeralContainerStatuses"),
    ):
        states = {s["name"]: s for s in status.get(state) or ()}
        _containers(page, title, spec.get(field), states, 0)
    page.table("Conditions", ["Type", "Status"], [[c["type"], c["status"]] for c in status.get("conditions") or ()])
    _volumes(page, spec.get("volumes"), 0)
    page.put("QoS Class", status.get("qosClass") or pods.qos_class(obj))
    page.put("Node-Selectors", labels(spec.get("nodeSelector")))
    page.put("Tolerations", "\n".join(_toleration(t) for t in spec.get("tolerations") or ()) or "<none>")


def template(page: Page, spec: Object, meta: Object, depth: int = 0) -> None:
    """A pod template."""
    page.line(f"{'  ' * depth}Pod Template:")
    page.mapping("Labels", meta.get("labels"), depth + 1)
    if meta.get("annotations"):
        page.mapping("Annotations", meta["annotations"], depth + 1, mark=": ")
    page.some("Service Account", spec.get("serviceAccountName"), depth + 1)
    _containers(page, "Init Containers", spec.get("initContainers"), {}, depth + 1)
    _containers(page, "Containers", spec.get("containers"), {}, depth + 1)
    _volumes(page, spec.get("volumes"), depth + 1)
    page.put("Node-Selectors", labels(spec.get("nodeSelector")), depth + 1)
    page.put("Tolerations", "\n".join(_toleration(t) for t in spec.get("tolerations") or ()) or "<none>", depth + 1)


def _containers(page: Page, title: str, containers: list[Object] | None, states: dict[str, Object], depth: int) -> None:
    if not containers:
        return
    page.line(f"{'  ' * depth}{title}:")
    for container in containers:
        page.line(f"{'  ' * (depth + 1)}{container['name']}:")
        _container(page, container, states.get(container["name"]), depth + 2)


def _container(page: Page, container: Object, state: Object | None, depth: int) -> None:
    if state:
        page.put("Container ID", state.get("containerID", ""), depth)
    page.put("Image", container.get("image", ""), depth)
    if state:
        page.put("Image ID", state.get("imageID", ""), depth)
    ports = [f"{p['containerPort']}/{p.get('protocol', 'TCP')}" for p in container.get("ports") or ()]
    page.put("Ports" if len(ports) > 1 else "Port", ", ".join(ports) or "<none>", depth)
    for label, field in (("Command", "command"), ("Args", "args")):
        if container.get(field):
            page.line(f"{'  ' * depth}{label}:")
            for word in container[field]:
                for line in str(word).split("\n"):
                    page.line(f"{'  ' * (depth + 1)}{line}")
    if state:
        _state(page, "State", state.get("state"), depth)
        if state.get("lastState"):
            _state(page, "Last State", state.get("lastState"), depth)
        page.put("Ready", "True" if state.get("ready") else "False", depth)
        page.put("Restart Count", state.get("restartCount", 0), depth)
    for label, field in (("Limits", "limits"), ("Requests", "requests")):
        found = resources((container.get("resources") or {}).get(field))
        if found:
            page.line(f"{'  ' * depth}{label}:")
            for name, quantity in found:
                page.put(name, quantity, depth + 1)
    for label, field in (("Liveness", "livenessProbe"), ("Readiness", "readinessProbe"), ("Startup", "startupProbe")):
        if container.get(field):
            page.put(label, _probe(container[field]), depth)
    _environment(page, container, depth)
    mounts = [
        f"{m['mountPath']} from {m['name']} ({'ro' if m.get('readOnly') else 'rw'}"
        + (f',path="{m["subPath"]}"' if m.get("subPath") else "")
        + ")"
        for m in container.get("volumeMounts") or ()
    ]
    _list(page, "Mounts", mounts, depth)


def _list(page: Page, label: str, lines: list[str], depth: int) -> None:
    if not lines:
        page.put(label, "<none>", depth)
        return
    page.line(f"{'  ' * depth}{label}:")
    for line in lines:
        page.line(f"{'  ' * (depth + 1)}{line}")


def _state(page: Page, label: str, state: Object | None, depth: int) -> None:
    kind, about = next(iter((state or {"waiting": {}}).items()))
    page.put(label, kind.capitalize(), depth)
    page.some("Reason", about.get("reason"), depth + 1)
    page.some("Message", about.get("message"), depth + 1)
    if kind == "terminated":
        page.put("Exit Code", about.get("exitCode", 0), depth + 1)
        page.some("Signal", about.get("signal"), depth + 1)
    page.some("Started", about.get("startedAt"), depth + 1)
    page.some("Finished", about.get("finishedAt"), depth + 1)


def _probe(probe: Object) -> str:
    times = (
        f"delay={probe.get('initialDelaySeconds', 0)}s timeout={probe.get('timeoutSeconds', 1)}s "
        f"period={probe.get('periodSeconds', 10)}s #success={probe.get('successThreshold', 1)} "
        f"#failure={probe.get('failureThreshold', 3)}"
    )
    if "exec" in probe:
        return f"exec [{' '.join(probe['exec'].get('command') or ())}] {times}"
    if "httpGet" in probe:
        get = probe["httpGet"]
        where = f"{get.get('scheme', 'HTTP').lower()}://{get.get('host', '')}:{get['port']}{get.get('path', '/')}"
        return f"http-get {where} {times}"
    if "tcpSocket" in probe:
        return f"tcp-socket {probe['tcpSocket'].get('host', '')}:{probe['tcpSocket']['port']} {times}"
    if "grpc" in probe:
        return f"grpc <pod>:{probe['grpc']['port']} {probe['grpc'].get('service', '')} {times}"
    return f"unknown {times}"


def _environment(page: Page, container: Object, depth: int) -> None:
    sources = []
    for entry in container.get("envFrom") or ():
        for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if field in entry:
                optional = "true" if entry[field].get("optional") else "false"
                sources.append(f"{entry[field]['name']}  {kind}  Optional: {optional}")
    if sources:
        _list(page, "Environment Variables from", sources, depth)
    _list(page, "Environment", [_variable(v) for v in container.get("env") or ()], depth)


def _variable(variable: Object) -> str:
    name, source = variable["name"], variable.get("valueFrom")
    if not source:
        return f"{name}:  {variable.get('value', '')}"
    kind, about = next(iter(source.items()))
    if kind in ("secretKeyRef", "configMapKeyRef"):
        what = "secret" if kind == "secretKeyRef" else "config map"
        optional = "true" if about.get("optional") else "false"
        return f"{name}:  <set to the key '{about['key']}' of {what} '{about['name']}'>  Optional: {optional}"
    if kind == "fieldRef":
        return f"{name}:   ({about.get('apiVersion', 'v1')}:{about['fieldPath']})"
    return f"{name}:  {about.get('resource', '')} ({kind})"


def _volumes(page: Page, volumes: list[Object] | None, depth: int) -> None:
    if not volumes:
        page.put("Volumes", "<none>", depth)
        return
    page.line(f"{'  ' * depth}Volumes:")
    for volume in volumes:
        page.line(f"{'  ' * (depth + 1)}{volume['name']}:")
        kind = next((k for k in _SOURCES if k in volume), next((k for k in volume if k != "name"), ""))
        page.put("Type", kind[:1].upper() + kind[1:], depth + 2)
        for key, value in sorted((volume.get(kind) or {}).items()):
            page.put(_words(key), _plain(value), depth + 2)


def _words(name: str) -> str:
    """`claimName` → `ClaimName`."""
    return name[:1].upper() + name[1:]


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return joined([_plain(v) for v in value])
    if isinstance(value, dict):
        return " ".join(f"{k}={_plain(v)}" for k, v in value.items())
    return str(value)


def _toleration(toleration: Object) -> str:
    text = str(toleration.get("key", ""))
    if toleration.get("value"):
        text += f"={toleration['value']}"
    if toleration.get("effect"):
        text += f":{toleration['effect']}"
    if toleration.get("operator") == "Exists":
        text += " op=Exists"
    seconds = toleration.get("tolerationSeconds")
    return f"{text} for {seconds}s" if seconds is not None else text
