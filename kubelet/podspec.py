"""Small readings of a pod's spec that several modules of the kubelet share. Pure; tolerant of manifests without defaults."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import orjson

from api.types import Object

DEFAULT_GRACE = 30


def containers(pod: Object) -> list[Object]:
    """The main containers."""
    return list(pod["spec"].get("containers") or ())


def init_containers(pod: Object) -> list[Object]:
    """Init containers, sidecars among them, in order."""
    return list(pod["spec"].get("initContainers") or ())


def ephemeral_containers(pod: Object) -> list[Object]:
    """Containers added for debugging."""
    return list(pod["spec"].get("ephemeralContainers") or ())


def every_container(pod: Object) -> Iterator[Object]:
    """All containers of every sort."""
    yield from init_containers(pod)
    yield from containers(pod)
    yield from ephemeral_containers(pod)


def find_container(pod: Object, name: str) -> Object | None:
    """The container of that name, or None."""
    return next((c for c in every_container(pod) if c["name"] == name), None)


def is_sidecar(container: Object) -> bool:
    """Whether an init container keeps running beside the main ones (KEP-753)."""
    return container.get("restartPolicy") == "Always"


def sidecars(pod: Object) -> list[Object]:
    """The init containers that keep running, in order."""
    return [c for c in init_containers(pod) if is_sidecar(c)]


def restart_policy(pod: Object) -> str:
    """The pod's restartPolicy."""
    return str(pod["spec"].get("restartPolicy") or "Always")


def is_host_network(pod: Object) -> bool:
    """Whether the pod uses the node's network."""
    return bool(pod["spec"].get("hostNetwork"))


def grace_period(pod: Object) -> int:
    """Seconds between SIGTERM and SIGKILL: the deletion's own, else the spec's."""
    given = pod["metadata"].get("deletionGracePeriodSeconds")
    if given is None:
        given = pod["spec"].get("terminationGracePeriodSeconds")
    return DEFAULT_GRACE if given is None else int(given)


def container_hash(container: Object) -> str:
    """Changes when the container must be replaced: its image is the one mutable field that asks for it."""
    text = orjson.dumps([container["name"], container.get("image", "")])
    return hashlib.sha256(text).hexdigest()[:8]


def full_name(pod: Object) -> str:
    """`name_namespace(uid)`: how messages name a pod."""
    meta = pod["metadata"]
    return f"{meta['name']}_{meta.get('namespace', 'default')}({meta['uid']})"


def restarts(pod: Object, container: Object, exit_code: int) -> bool:
    """Whether a main or init container that ended with this code is started again."""
    for rule in container.get("restartPolicyRules") or ():
        codes = rule.get("exitCodes") or {}
        inside = exit_code in (codes.get("values") or ())
        if rule.get("action") == "Restart" and inside == (codes.get("operator") == "In"):
            return True
    policy = container.get("restartPolicy") or restart_policy(pod)
    return bool(policy == "Always" or (policy == "OnFailure" and exit_code != 0))


def init_restarts(pod: Object, container: Object, exit_code: int) -> bool:
    """The same for an init container that is no sidecar: it is done when it succeeds."""
    return exit_code != 0 and restarts(pod, container, exit_code)
