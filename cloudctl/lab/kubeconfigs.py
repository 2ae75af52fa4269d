"""A cluster's entry in the user's kubeconfig: merged in, made current, taken out. Pure, but for `merge` and `forget`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from client import kubeconfig
from client.kubeconfig import KubeconfigError
from cloudctl.cluster.state import ClusterError

Config = dict[str, Any]
_LISTS = ("clusters", "contexts", "users")


def context_name(cluster: str) -> str:
    """What the context, the cluster and the user of a lab are called."""
    return f"cloudlet-{cluster}"


def renamed(admin: Config, name: str) -> Config:
    """An administrator's kubeconfig with its one cluster, context and user under this name."""
    entry = {"cluster": name, "user": name}
    return {
        **admin,
        "clusters": [{**admin["clusters"][0], "name": name}],
        "users": [{**admin["users"][0], "name": name}],
        "contexts": [{"name": name, "context": entry}],
        "current-context": name,
    }


def merged(present: Config, added: Config) -> Config:
    """The present file with the entries of `added` in the place of its namesakes, and its context the current one."""
    result = {"apiVersion": "v1", "kind": "Config", **present, "current-context": added["current-context"]}
    for kind in _LISTS:
        names = {entry["name"] for entry in added[kind]}
        result[kind] = [entry for entry in present.get(kind) or () if entry.get("name") not in names] + added[kind]
    return result


def without(present: Config, name: str) -> Config:
    """The file without the entries of this name; no context is current if that one was."""
    result = {**present, **{k: [e for e in present.get(k) or () if e.get("name") != name] for k in _LISTS}}
    if result.get("current-context") == name:
        result["current-context"] = ""
    return result


def merge(text: str, cluster: str) -> Path:
    """Put a cluster into the user's kubeconfig; returns its path. Raises ClusterError."""
    path = kubeconfig.default_path()
    added = renamed(yaml.safe_load(text), context_name(cluster))
    path.parent.mkdir(parents=True, exist_ok=True)
    kubeconfig.save(path, merged(_read(path), added))
    return path


def forget(cluster: str) -> None:
    """Take it out again. Raises ClusterError."""
    path = kubeconfig.default_path()
    present = _read(path)
    changed = without(present, context_name(cluster))
    if present and changed != present:
        kubeconfig.save(path, changed)


def _read(path: Path) -> Config:
    if not path.exists() or not path.stat().st_size:
        return {}
    try:
        return kubeconfig.read(path)
    except KubeconfigError as error:
        raise ClusterError(f"{error}; name another file with KUBECONFIG") from error
