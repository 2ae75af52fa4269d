"""The configuration file: the part of kubescheduler.config.k8s.io/v1 KubeSchedulerConfiguration that has a meaning here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scheduler.cycle import Profile
from scheduler.queue import INITIAL_SECONDS, LONGEST_SECONDS
from scheduler.registry import BY_NAME, OTHERS, PLUGINS

API_VERSION = "kubescheduler.config.k8s.io/v1"
_POINTS = ("preEnqueue", "queueSort", "preFilter", "filter", "postFilter", "preScore", "score", "reserve", "permit")
_ALL_POINTS = ("multiPoint", *_POINTS, "preBind", "bind", "postBind")


class ConfigError(ValueError):
    """The file cannot be used; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Config:
    """What the file says, or Kubernetes' defaults."""

    profiles: tuple[Profile, ...] = (Profile(),)
    leader_elect: bool | None = None
    initial_backoff: float = INITIAL_SECONDS
    longest_backoff: float = LONGEST_SECONDS


def load(path: str | Path) -> Config:
    """Read a YAML file. Raises ConfigError."""
    try:
        data = yaml.safe_load(Path(path).read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}") from error
    return parse(data)


def parse(data: Any) -> Config:
    """Take in the decoded file. Raises ConfigError."""
    if not isinstance(data, dict) or data.get("kind") != "KubeSchedulerConfiguration":
        raise ConfigError("kind: want KubeSchedulerConfiguration")
    if data.get("apiVersion") != API_VERSION:
        raise ConfigError(f"apiVersion: want {API_VERSION}")
    profiles = tuple(_profile(p, f"profiles[{n}]") for n, p in enumerate(data.get("profiles") or [{}]))
    names = [p.name for p in profiles]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise ConfigError(f"profiles[{number}].schedulerName: duplicate {name!r}")
    initial = float(data.get("podInitialBackoffSeconds") or INITIAL_SECONDS)
    longest = float(data.get("podMaxBackoffSeconds") or LONGEST_SECONDS)
    if not 0 < initial <= longest:
        raise ConfigError("podInitialBackoffSeconds: must be above 0 and not above podMaxBackoffSeconds")
    elect = (data.get("leaderElection") or {}).get("leaderElect")
    return Config(profiles, elect, initial, longest)


def _profile(data: dict[str, Any], path: str) -> Profile:
    points = data.get("plugins") or {}
    for point in points:
        if point not in _ALL_POINTS:
            raise ConfigError(f"{path}.plugins.{point}: there is no such extension point")
    enabled = {p.name for p in PLUGINS} | set(OTHERS)
    weights = {p.name: p.weight for p in PLUGINS}
    filtering = set(enabled)
    for point, entry in points.items():
        where = f"{path}.plugins.{point}"
        off = _names(entry.get("disabled"), f"{where}.disabled", star=True)
        on = {e["name"]: e for e in entry.get("enabled") or ()}
        _names(on.values(), f"{where}.enabled")
        out = set(enabled) - set(on) if "*" in off else set(off) - set(on)
        if point == "multiPoint":
            enabled = (enabled - out) | set(on)
            filtering = (filtering - out) | set(on)
        elif point == "score":
            weights |= dict.fromkeys(out & set(weights), 0)
        elif point == "filter":
            filtering = (filtering - out) | set(on)
        elif point in ("postFilter", "preEnqueue"):
            enabled -= out
        if point in ("multiPoint", "score"):
            for name, plugin in on.items():
                if name in weights:
                    weights[name] = int(plugin.get("weight") or BY_NAME[name].weight or 1)
    chosen = tuple(_without_filter(p, p.name in filtering) for p in PLUGINS if p.name in enabled)
    args = {c["name"]: c.get("args") or {} for c in data.get("pluginConfig") or ()}
    _names(({"name": n} for n in args), f"{path}.pluginConfig")
    return Profile(
        name=data.get("schedulerName") or "default-scheduler",
        plugins=chosen,
        weights=weights,
        args=args,
        preemption="DefaultPreemption" in enabled,
        gates="SchedulingGates" in enabled,
    )


def _names(entries: Iterable[dict[str, Any]] | None, path: str, star: bool = False) -> list[str]:
    names = [e["name"] for e in entries or ()]
    for name in names:
        if name not in BY_NAME and name not in OTHERS and not (star and name == "*"):
            raise ConfigError(f"{path}: there is no plugin {name!r}")
    return names


def _without_filter(plugin: Any, keep: bool) -> Any:
    if keep or plugin.filter is None:
        return plugin
    fields = {s: getattr(plugin, s) for s in plugin.__slots__}
    return type(plugin)(**fields | {"filter": None, "prefilter": None, "narrow": None})
