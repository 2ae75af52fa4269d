"""Objects made from command line flags: what `create`, `run` and `expose` send. Pure functions of their arguments."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from api.types import Object
from cloudctl.faults import Fault

_RBAC = "rbac.authorization.k8s.io"


def pairs(words: Sequence[str], what: str) -> dict[str, str]:
    """`key=value` words as a mapping. Raises Fault."""
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise Fault(f"invalid {what} {word!r}, expected key=value")
        found[key] = value
    return found


def meta(name: str, labels: dict[str, str] | None = None) -> Object:
    """`metadata` with a name and perhaps labels."""
    return {"name": name, **({"labels": labels} if labels else {})}


def data_of(literals: Sequence[str], files: Sequence[str], env_files: Sequence[str]) -> dict[str, bytes]:
    """The keys and values of a ConfigMap or Secret, from `--from-literal`, `--from-file` and `--from-env-file`."""
    found = {key: value.strip("'\"").encode() for key, value in pairs(literals, "literal source").items()}
    for word in files:
        found.update(_from_file(word))
    for word in env_files:
        for line in _read(Path(word)).decode().splitlines():
            if line.strip() and not line.lstrip().startswith("#"):
                key, _, value = line.partition("=")
                found[key.strip()] = value.encode()
    return found


def _from_file(word: str) -> dict[str, bytes]:
    key, equals, path = word.partition("=")
    source = Path(path if equals else word)
    if source.is_dir():
        if equals:
            raise Fault(f"cannot give a key name for a directory path: {word}")
        return {entry.name: _read(entry) for entry in sorted(source.iterdir()) if entry.is_file()}
    return {key if equals else source.name: _read(source)}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Fault(f"error reading {path}: {error.strerror}") from error


def configmap(name: str, data: dict[str, bytes]) -> Object:
    """A ConfigMap; values that are no UTF-8 go to `binaryData`."""
    obj: Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta(name)}
    for key, value in data.items():
        try:
            obj.setdefault("data", {})[key] = value.decode()
        except UnicodeDecodeError:
            obj.setdefault("binaryData", {})[key] = base64.b64encode(value).decode()
    return obj


def secret(name: str, data: dict[str, bytes], kind: str = "Opaque") -> Object:
    """A Secret of a type."""
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta(name), "type": kind, "data": encoded}


def namespace(name: str) -> Object:
    """A Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": meta(name)}


def service_account(name: str) -> Object:
    """A ServiceAccount."""
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta(name)}


def container(name: str, image: str, command: Sequence[str] = (), args: Sequence[str] = ()) -> Object:
    """A container that runs an image."""
    found: Object = {"name": name, "image": image}
    if command:
        found["command"] = list(command)
    if args:
        found["args"] = list(args)
    return found


def image_name(image: str) -> str:
    """The last part of an image's name, without tag and digest: what its container is called."""
    return image.rpartition("/")[2].partition("@")[0].partition(":")[0].replace(".", "-").replace("_", "-")


def deployment(name: str, images: Sequence[str], replicas: int, port: int | None, command: Sequence[str]) -> Object:
    """A Deployment with one container per image."""
    if len(images) > 1 and command:
        raise Fault("cannot specify multiple --image options and command")
    containers = [container(image_name(image), image, command) for image in images]
    if port:
        containers[0]["ports"] = [{"containerPort": port}]
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta(name, labels), "spec": spec}


def job(name: str, image: str, command: Sequence[str]) -> Object:
    """A Job that runs an image once."""
    pod = {"containers": [container(name, image, command)], "restartPolicy": "Never"}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta(name), "spec": {"template": {"spec": pod}}}


def cron_job(name: str, image: str, schedule: str, command: Sequence[str]) -> Object:
    """A CronJob."""
    template = {"metadata": {"name": name}, "spec": job(name, image, command)["spec"]}
    template["spec"]["template"]["spec"]["restartPolicy"] = "OnFailure"
    spec = {"schedule": schedule, "jobTemplate": template}
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": meta(name), "spec": spec}


def job_from(name: str, cron: Object) -> Object:
    """A Job made from a CronJob's template, as if its time had come."""
    template = cron["spec"]["jobTemplate"]
    annotations = {
        **(template.get("metadata", {}).get("annotations") or {}),
        "cronjob.kubernetes.io/instantiate": "manual",
    }
    owner = {
        "apiVersion": "batch/v1", "kind": "CronJob", "name": cron["metadata"]["name"], "uid": cron["metadata"]["uid"],
        "controller": True,
    }  # fmt: skip
    about = {
        **meta(name, template.get("metadata", {}).get("labels")),
        "annotations": annotations,
        "ownerReferences": [owner],
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": about, "spec": template["spec"]}


def service(name: str, kind: str, ports: Sequence[str], *, external_name: str = "", cluster_ip: str = "") -> Object:
    """A Service for the pods labelled `app=NAME`."""
    spec: Object = {"type": kind, "selector": {"app": name}}
    if kind == "ExternalName":
        spec = {"type": kind, "externalName": external_name}
    if cluster_ip:
        spec["clusterIP"] = cluster_ip
    if ports:
        spec["ports"] = [_service_port(word) for word in ports]
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta(name, {"app": name}), "spec": spec}


def _service_port(word: str) -> Object:
    port, _, target = word.partition(":")
    if not port.isdigit():
        raise Fault(f"invalid port {word!r}, expected PORT or PORT:TARGETPORT")
    goal: Any = int(target) if target.isdigit() else target or int(port)
    return {"name": word.replace(":", "-"), "port": int(port), "protocol": "TCP", "targetPort": goal}


def rules(
    verbs: Sequence[str], kinds: Sequence[tuple[str, str]], names: Sequence[str], urls: Sequence[str]
) -> list[Object]:
    """RBAC rules; `kinds` are (group, resource) pairs."""
    if urls:
        return [{"verbs": list(verbs), "nonResourceURLs": list(urls)}]
    by_group: dict[str, list[str]] = {}
    for group, plural in kinds:
        by_group.setdefault(group, []).append(plural)
    found = []
    for group, plurals in by_group.items():
        rule: Object = {"verbs": list(verbs), "apiGroups": [group], "resources": plurals}
        if names:
            rule["resourceNames"] = list(names)
        found.append(rule)
    return found


def role(kind: str, name: str, found: list[Object]) -> Object:
    """A Role or ClusterRole."""
    return {"apiVersion": f"{_RBAC}/v1", "kind": kind, "metadata": meta(name), "rules": found}


def binding(
    kind: str, name: str, to: tuple[str, str], users: Sequence[str], groups: Sequence[str], accounts: Sequence[str]
) -> Object:
    """A RoleBinding or ClusterRoleBinding; `to` is the kind and name of the role."""
    subjects = [{"apiGroup": _RBAC, "kind": "User", "name": user} for user in users]
    subjects += [{"apiGroup": _RBAC, "kind": "Group", "name": group} for group in groups]
    for account in accounts:
        space, colon, who = account.partition(":")
        if not colon or not who:
            raise Fault("serviceaccount must be <namespace>:<name>")
        subjects.append({"kind": "ServiceAccount", "name": who, "namespace": space})
    reference = {"apiGroup": _RBAC, "kind": to[0], "name": to[1]}
    about = meta(name)
    return {"apiVersion": f"{_RBAC}/v1", "kind": kind, "metadata": about, "roleRef": reference, "subjects": subjects}


def docker_config(server: str, username: str, password: str, email: str = "") -> bytes:
    """The contents of `.dockerconfigjson` for one registry."""
    auth = base64.b64encode(f"{username}:{password}".encode()).decode()
    entry = {"username": username, "password": password, "auth": auth, **({"email": email} if email else {})}
    return orjson.dumps({"auths": {server: entry}})
