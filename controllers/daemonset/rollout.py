"""What to create and delete on each node: the standing rule (`manage`) and the rolling update (`roll`). Pure.

Source: the Kubernetes documentation, "Perform a Rolling Update on a DaemonSet"; KEP-1591 for maxSurge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from api import meta
from api.types import Object
from controllers.daemonset.placement import eligible
from controllers.percent import resolve
from controllers.podstate import created_at, is_available, is_ready, phase
from controllers.templates import REVISION_LABEL

ByNode = Mapping[str, Sequence[Object]]


@dataclass(slots=True)
class Steps:
    """Nodes (by name) that need a pod, pods to delete, and pods that have ended and are deleted for it."""

    create: list[str] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)
    failed: list[Object] = field(default_factory=list)
    succeeded: list[Object] = field(default_factory=list)


def bounds(daemon: Object, desired: int) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) in pods, of which at least one is not 0; `desired` nodes are to run one."""
    rolling = (daemon["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    surge = resolve(rolling.get("maxSurge"), desired, round_up=True, default=0)
    unavailable = resolve(rolling.get("maxUnavailable"), desired, round_up=True, default=1)
    return surge, unavailable if surge or unavailable else 1


def delay_of(daemon: Object) -> int:
    """`minReadySeconds`."""
    return int(daemon["spec"].get("minReadySeconds") or 0)


def is_updated(pod: Object, digest: str) -> bool:
    """Whether the pod is of the revision with that hash."""
    return meta.labels(pod).get(REVISION_LABEL) == digest


def manage(
    daemon: Object,
    nodes: Sequence[Object],
    by_node: ByNode,
    digest: str,
    now: datetime,
    may_replace: Callable[[Object], bool],
) -> Steps:
    """One pod on each eligible node, none elsewhere. `may_replace` says whether a failed pod's back-off is over."""
    steps = Steps()
    surge, _ = bounds(daemon, sum(eligible(daemon, node)[0] for node in nodes))
    known = set()
    for node in nodes:
        name = meta.name(node)
        known.add(name)
        pods = sorted(by_node.get(name, ()), key=created_at)
        run, stay = eligible(daemon, node)
        if run and not pods:
            steps.create.append(name)
        elif stay:
            _one_of(daemon, pods, steps, surge=surge > 0, digest=digest, now=now, may_replace=may_replace)
        else:
            steps.delete += [pod for pod in pods if not meta.is_deleting(pod)]
    return steps


def _one_of(
    daemon: Object,
    pods: Sequence[Object],
    steps: Steps,
    *,
    surge: bool,
    digest: str,
    now: datetime,
    may_replace: Callable[[Object], bool],
) -> None:
    running = []
    for pod in pods:
        if meta.is_deleting(pod):
            continue
        if phase(pod) == "Failed":
            if may_replace(pod):
                steps.failed.append(pod)
        elif phase(pod) == "Succeeded":
            steps.succeeded.append(pod)
        else:
            running.append(pod)
    if not surge:
        steps.delete += running[1:]
        return
    if len(running) <= 1:
        return
    old = [pod for pod in running if not is_updated(pod, digest)]
    new = [pod for pod in running if is_updated(pod, digest)]
    steps.delete += old[1:] + new[1:]
    if old and new and (not is_ready(old[0]) or is_available(new[0], delay_of(daemon), now)):
        steps.delete.append(old[0])


def _pair(pods: Sequence[Object], digest: str) -> tuple[Object | None, Object | None, bool]:
    """(new, old, clear): the two pods a node may hold during an update; not clear when there are more of a sort."""
    alive = [pod for pod in pods if not meta.is_deleting(pod)]
    new = [pod for pod in alive if is_updated(pod, digest)]
    old = [pod for pod in alive if not is_updated(pod, digest)]
    return (new[0] if new else None), (old[0] if old else None), len(new) <= 1 and len(old) <= 1


def roll(daemon: Object, nodes: Sequence[Object], by_node: ByNode, digest: str, now: datetime) -> Steps:
    """The next step of a rolling update."""
    eligible_nodes = [meta.name(node) for node in nodes if eligible(daemon, node)[0]]
    surge, unavailable = bounds(daemon, len(eligible_nodes))
    if surge:
        return _surge(daemon, {n: by_node.get(n, ()) for n in by_node.keys() | set(eligible_nodes)}, digest, surge, now)
    return _replace(daemon, by_node, digest, unavailable, now)


def _replace(daemon: Object, by_node: ByNode, digest: str, limit: int, now: datetime) -> Steps:
    """Old pods that do not work go at once; of those that do, as many as may be unavailable."""
    missing = 0
    broken: list[Object] = []
    candidates: list[Object] = []
    for name in sorted(by_node):
        new, old, clear = _pair(by_node[name], digest)
        if not clear or (new is None) == (old is None):
            missing += 1  # the standing rule creates or deletes here
        elif new is not None:
            missing += not is_available(new, delay_of(daemon), now)
        elif old is not None:
            (candidates if is_available(old, delay_of(daemon), now) else broken).append(old)
    room = max(0, limit - missing)
    return Steps(delete=broken + candidates[:room])


def _surge(daemon: Object, by_node: ByNode, digest: str, limit: int, now: datetime) -> Steps:
    """New pods beside old ones, as many as may be too many; an old one goes when its new one is available."""
    steps = Steps()
    surging, candidates = 0, []
    for name in sorted(by_node):
        new, old, clear = _pair(by_node[name], digest)
        if not clear:
            surging += 1
        elif old is None:
            continue
        elif new is None:
            if is_available(old, delay_of(daemon), now):
                candidates.append(name)
            else:
                steps.create.append(name)
        elif is_available(new, delay_of(daemon), now):
            steps.delete.append(old)
        else:
            surging += 1
    steps.create += candidates[: max(0, limit - surging)]
    return steps
