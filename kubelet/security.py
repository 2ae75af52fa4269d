"""From the security contexts of a pod and a container to what the engine is told. Pure.

Source: Kubernetes' "Configure a Security Context for a Pod or Container"; the container's own fields win over the pod's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from api.types import Object
from kubelet.runtime import Image, Security


class SecurityFault(Exception):
    """The container must not be started as it is described (waiting reason CreateContainerConfigError)."""


def _field(pod: Object, container: Object, name: str) -> Any:
    own = (container.get("securityContext") or {}).get(name)
    return own if own is not None else (pod["spec"].get("securityContext") or {}).get(name)


def run_as_user(pod: Object, container: Object) -> int | None:
    """The uid asked for, or None for the image's."""
    value = _field(pod, container, "runAsUser")
    return None if value is None else int(value)


def _check_non_root(pod: Object, container: Object, image: Image) -> None:
    if not _field(pod, container, "runAsNonRoot"):
        return
    meta = pod["metadata"]
    full = f"{meta['name']}_{meta.get('namespace', '')}({meta.get('uid', '')})"
    where = f'(pod: "{full}", container: {container["name"]})'
    uid = run_as_user(pod, container)
    if uid == 0:
        raise SecurityFault(f"container's runAsUser breaks non-root policy {where}")
    if uid is not None:
        return
    name = image.user.partition(":")[0]
    if name in ("", "0", "root"):
        raise SecurityFault(f"container has runAsNonRoot and image will run as root {where}")
    if not name.isdigit():
        raise SecurityFault(
            f"container has runAsNonRoot and image has non-numeric user ({name}), cannot verify user is non-root {where}"
        )


def _user(pod: Object, container: Object, image: Image) -> str:
    uid, gid = run_as_user(pod, container), _field(pod, container, "runAsGroup")
    if uid is None and gid is None:
        return ""
    name = str(uid) if uid is not None else image.user.partition(":")[0] or "0"
    if gid is not None:
        return f"{name}:{gid}"
    # A numeric user without a group gets the root group unless the image's passwd knows better.
    return name


def _profile(pod: Object, container: Object, name: str, root: Path) -> str:
    """An engine's profile: "" for its default. `root` holds the files of type Localhost."""
    profile = _field(pod, container, name) or {}
    kind = profile.get("type", "")
    if kind == "Localhost":
        if name == "appArmorProfile":
            return str(profile.get("localhostProfile", ""))
        try:
            return (root / "seccomp" / str(profile.get("localhostProfile", ""))).read_text()
        except OSError as error:
            raise SecurityFault(f"cannot load seccomp profile: {error}") from error
    if kind == "Unconfined" or (not kind and name == "seccompProfile"):
        # Without a profile Kubernetes runs a container unconfined (no SeccompDefault).
        return "unconfined"
    return ""


def security(pod: Object, container: Object, image: Image, root: Path) -> Security:
    """What to tell the engine. Raises SecurityFault."""
    _check_non_root(pod, container, image)
    context = container.get("securityContext") or {}
    shared = pod["spec"].get("securityContext") or {}
    capabilities = context.get("capabilities") or {}
    groups = [str(g) for g in shared.get("supplementalGroups") or ()]
    if shared.get("fsGroup") is not None:
        groups.append(str(shared["fsGroup"]))
    privileged = bool(context.get("privileged"))
    return Security(
        user=_user(pod, container, image),
        groups=tuple(dict.fromkeys(groups)),
        cap_add=tuple(c.removeprefix("CAP_") for c in capabilities.get("add") or ()),
        cap_drop=tuple(c.removeprefix("CAP_") for c in capabilities.get("drop") or ()),
        privileged=privileged,
        no_new_privileges=context.get("allowPrivilegeEscalation") is False,
        seccomp="unconfined" if privileged else _profile(pod, container, "seccompProfile", root),
        apparmor="" if privileged else _profile(pod, container, "appArmorProfile", root),
        read_only_root=bool(context.get("readOnlyRootFilesystem")),
        unmasked_proc=context.get("procMount") == "Unmasked",
    )


def sysctls(pod: Object) -> dict[str, str]:
    """The pod's sysctls; they are namespaced, so the sandbox gets them."""
    entries = (pod["spec"].get("securityContext") or {}).get("sysctls") or ()
    return {entry["name"].replace("/", "."): str(entry["value"]) for entry in entries}
