"""What the informers say, turned into the snapshot and the queue. Every handler is synchronous and cheap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import structlog

from api.meta import is_deleting, labels, uid
from api.meta import key as key_of
from api.pods import is_terminal
from api.types import Object
from scheduler.cycle import Algorithm
from scheduler.framework import Change, Cycle, Event, Scope
from scheduler.podinfo import PodInfo, read
from scheduler.queue import QueuedPod, SchedulingQueue
from scheduler.registry import BY_NAME
from scheduler.snapshot import Snapshot
from scheduler.template import Templates


class State:
    """The scheduler's picture of the cluster: assigned pods in the snapshot, pending ones in the queue.

    `algorithms` are the profiles by scheduler name; pods that name another are none of our business until they are
    assigned. A pod that was placed but is not bound yet is *assumed*: it counts on its node like any other.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        queue: SchedulingQueue,
        namespaces: dict[str, Mapping[str, str]],
        algorithms: Mapping[str, Algorithm],
    ) -> None:
        self.snapshot, self.queue, self.algorithms = snapshot, queue, algorithms
        self.assigned: dict[str, PodInfo] = {}
        self.assumed: set[str] = set()
        self.nominated: dict[str, PodInfo] = {}
        self._namespaces = namespaces
        self._templates = Templates()
        self._log = structlog.get_logger("state")

    # --- nodes and namespaces

    def node_changed(self, node: Object, old: Object | None = None) -> None:
        """A node is new or has a new state."""
        if not self.snapshot.put_node(node):
            return
        name = node["metadata"]["name"]
        for event in _node_events(node, old):
            self.wake(Change(event, node=name))

    def node_gone(self, node: Object) -> None:
        """A node has been deleted: its topology domain may be gone with it, which can help others."""
        self.snapshot.remove_node(node["metadata"]["name"])
        self.wake(Change(Event.NODE_LABEL))

    def namespace_changed(self, space: Object) -> None:
        """Labels of a namespace, which affinity terms may select."""
        name, new = space["metadata"]["name"], labels(space)
        if self._namespaces.get(name) != new:
            self._namespaces[name] = new
            self.snapshot.namespaces_changed()
            self.wake(Change(Event.NAMESPACE, obj=space))

    def namespace_gone(self, space: Object) -> None:
        """A namespace has been deleted."""
        self._namespaces.pop(space["metadata"]["name"], None)
        self.snapshot.namespaces_changed()

    # --- pods

    def pod_changed(self, pod: Object, old: Object | None = None) -> None:
        """A pod is new or has a new state."""
        try:
            if is_terminal(pod):
                self.pod_gone(pod)
            elif pod["spec"].get("nodeName"):
                self._assigned(pod)
            elif pod["spec"].get("schedulerName", "default-scheduler") in self.algorithms:
                self._pending(pod, old)
        except (KeyError, TypeError, ValueError):
            # The API would not have accepted it; one odd pod must not end the scheduling of all others.
            self._log.exception("pod not understood", pod=key_of(pod))

    def pod_gone(self, pod: Object) -> None:
        """A pod has been deleted or has ended."""
        key = uid(pod)
        self.queue.remove(key)
        released = self.nominated.pop(key, None)
        known = self.assigned.pop(key, None)
        self.assumed.discard(key)
        if known is not None:
            self.snapshot.remove_pod(known)
            self.wake(Change(Event.POD_DELETE, node=known.node, pod=known))
        elif released is not None:
            self.wake(Change(Event.POD_DELETE, node=released.nominated, pod=released))

    def _assigned(self, pod: Object) -> None:
        info = read(pod, self._templates)
        self.queue.remove(info.uid)
        self.nominated.pop(info.uid, None)
        known = self.assigned.get(info.uid)
        confirmed = info.uid in self.assumed
        self.assumed.discard(info.uid)
        if known is None:
            self.assigned[info.uid] = info
            self.snapshot.add_pod(info)
            self.wake(Change(Event.POD_ADD, node=info.node, pod=info))
            return
        same = all(getattr(known, f) == getattr(info, f) for f in ("node", "template", "terminating", "priority"))
        if same:
            # A new status. The object is swapped in place, so that the snapshot needs no accounting.
            known.pod = pod
        else:
            self.snapshot.remove_pod(known)
            self.assigned[info.uid] = info
            self.snapshot.add_pod(info)
        if confirmed:
            self.wake(Change(Event.POD_ADD, node=info.node, pod=info))
        elif not same:
            self._assigned_changed(known, info)

    def _assigned_changed(self, old: PodInfo, new: PodInfo) -> None:
        if old.node != new.node:
            self.wake(Change(Event.POD_DELETE, node=old.node, pod=old))
            self.wake(Change(Event.POD_ADD, node=new.node, pod=new))
            return
        if old.template.labels != new.template.labels or old.terminating != new.terminating:
            self.wake(Change(Event.POD_LABEL, node=new.node, pod=old))
            self.wake(Change(Event.POD_LABEL, node=new.node, pod=new))
        if old.template.requests != new.template.requests:
            self.wake(Change(Event.POD_SHRINK, node=new.node, pod=new))

    def _pending(self, pod: Object, old: Object | None) -> None:
        if uid(pod) in self.assigned:
            return  # assumed; the informer has not heard of the binding yet
        if is_deleting(pod):
            self.pod_gone(pod)
            return
        info = read(pod, self._templates)
        before = self.nominated.get(info.uid)
        if not info.nominated and before and not ((old or {}).get("status") or {}).get("nominatedNodeName"):
            info.nominated = before.nominated  # decided here, on its way to the API
        self.nominate(info, info.nominated)
        gated = self._gated(pod)
        if info.uid not in self.queue or gated or self._gated(old):
            self.queue.add(info, gated)
        else:
            self.queue.update(info, helps=old is not None and _differs(old, pod))

    def _gated(self, pod: Object | None) -> bool:
        if pod is None or not pod["spec"].get("schedulingGates"):
            return False
        return self.algorithms[pod["spec"].get("schedulerName", "default-scheduler")].profile.gates

    def nominate(self, info: PodInfo, node: str) -> None:
        """Remember that a pod waits for room on a node; an empty name forgets it."""
        info.nominated = node
        if node:
            self.nominated[info.uid] = info
        else:
            self.nominated.pop(info.uid, None)

    def rivals(self, info: PodInfo) -> Iterator[PodInfo]:
        """Nominated pods that a pod of its priority must leave room for."""
        return (p for p in self.nominated.values() if p.priority >= info.priority and p.uid != info.uid)

    # --- assumed pods

    def assume(self, info: PodInfo, node: str) -> PodInfo:
        """Count a pod on its node from now on, before the API knows."""
        placed = info.assumed(node)
        self.assigned[info.uid] = placed
        self.assumed.add(info.uid)
        self.snapshot.add_pod(placed)
        return placed

    def forget(self, placed: PodInfo) -> None:
        """The binding came to nothing. Without effect if the API says by now that it did."""
        if placed.uid not in self.assumed:
            return
        self.assumed.discard(placed.uid)
        del self.assigned[placed.uid]
        self.snapshot.remove_pod(placed)
        self.wake(Change(Event.POD_DELETE, node=placed.node, pod=placed))

    # --- waking

    def wake(self, change: Change) -> None:
        """Move the unschedulable pods that a change could help."""
        if self.queue.waiting:
            self.queue.move(lambda queued: self.may_help(queued, change))

    def may_help(self, queued: QueuedPod, change: Change) -> bool:
        """Whether one of the plugins that rejected the pod could think otherwise now (queueing hints)."""
        info = queued.info
        algorithm = self.algorithms[info.pod["spec"].get("schedulerName", "default-scheduler")]
        row = self.snapshot.rows.get(change.node) if change.node else None
        for name in queued.plugins:
            plugin = BY_NAME[name]
            if not plugin.wakes & change.event or (plugin.hint and not plugin.hint(info, change)):
                continue
            if plugin.scope is Scope.GLOBAL:
                return True
            if row is None or plugin.filter is None:
                continue
            cycle: Cycle = algorithm.cycle(info)
            rejections = plugin.filter(cycle, np.array([row], dtype=np.intp))
            if not any(r.mask[0] for r in rejections):
                return True
        return False


def _node_events(node: Object, old: Object | None) -> Iterator[Event]:
    if old is None:
        yield Event.NODE_ADD
        return
    if labels(node) != labels(old):
        yield Event.NODE_LABEL
    mine, theirs = node.get("spec") or {}, old.get("spec") or {}
    if any(mine.get(f) != theirs.get(f) for f in ("taints", "unschedulable")):
        yield Event.NODE_TAINT
    if (node.get("status") or {}).get("allocatable") != (old.get("status") or {}).get("allocatable"):
        yield Event.NODE_ALLOCATABLE


def _differs(old: Object, new: Object) -> bool:
    return bool(old["spec"] != new["spec"] or labels(old) != labels(new))
