"""All pods of this node: from the API's watch and the manifest folder to one worker each, and what was left over by none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from api.pods import is_mirror
from api.types import Object
from kubelet import admission
from kubelet.pod_worker import Kit, PodWorker
from kubelet.runtime import GRACE, POD_NAME, POD_NAMESPACE, ContainerState
from kubelet.static_pods import SOURCE, Mirrors
from kubelet.volumes.paths import pod_dirs


class Pods:
    """The workers of this node. `node` gives the Node object as the API shows it; `on_change` hears of comings and goings."""

    def __init__(
        self, kit: Kit, mirrors: Mirrors, node: Callable[[], Object | None], on_change: Callable[[], None]
    ) -> None:
        self._kit, self._mirrors, self._node, self._on_change = kit, mirrors, node, on_change
        self._workers: dict[str, PodWorker] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._static: dict[str, Object] = {}
        self._log = structlog.get_logger("pods")

    # --- sources ----------------------------------------------------------------------------------------------------

    def add(self, pod: Object) -> None:
        """A pod bound to this node has appeared in the API."""
        if is_mirror(pod):
            self._mirrors.seen(pod)
            self._wake_static(pod)
            return
        worker = self._workers.get(pod["metadata"]["uid"])
        if worker:
            worker.update(pod)
            return
        self._begin(PodWorker(self._kit, pod))

    def update(self, old: Object, pod: Object) -> None:
        """A pod has changed."""
        self.add(pod)

    def delete(self, pod: Object) -> None:
        """A pod has left the API (or this node)."""
        if is_mirror(pod):
            self._mirrors.gone(pod)
        elif worker := self._workers.get(pod["metadata"]["uid"]):
            worker.remove()

    def set_static(self, pods: dict[str, Object]) -> None:
        """The static pods of now, by uid."""
        self._static = pods
        self._mirrors.set_static(pods.values())
        for uid, worker in self._workers.items():
            if SOURCE in (worker.pod["metadata"].get("annotations") or {}) and uid not in pods:
                worker.remove()
        self._begin_static()

    def _begin_static(self) -> None:
        """Begin the static pods that do not run yet. A changed manifest makes a new pod, which waits until the old one has ended.

        The old one may be known by its containers alone, when the manifest changed while the kubelet was away.
        """
        for uid, pod in self._static.items():
            if uid in self._workers:
                continue
            name = _full_name(pod)
            for old in self._kit.store.uids():
                if old and old != uid and old not in self._workers and _owner(self._kit.store.pod(old)[0]) == name:
                    self._stop_unwanted(old)
            if all(_full_name(worker.pod) != name for worker in self._workers.values()):
                self._begin(PodWorker(self._kit, pod, lambda pod=pod: self._mirrors.of(pod)))  # type: ignore[misc]

    def _wake_static(self, mirror: Object) -> None:
        if worker := self._workers.get(mirror["metadata"]["annotations"]["kubernetes.io/config.mirror"]):
            worker.wake()

    # --- workers ----------------------------------------------------------------------------------------------------

    def _begin(self, worker: PodWorker) -> None:
        uid = worker.uid
        fresh = not self._kit.store.pod(uid) and not (worker.pod.get("status") or {}).get("startTime")
        if fresh and not worker.is_ending and not worker.is_over:
            others = [w.pod for w in self._workers.values() if not w.is_over]
            refusal = admission.refuse(worker.pod, self._node(), others, self._kit.capacity())
            if refusal:
                worker.reject(*refusal)
        self._workers[uid] = worker
        task = asyncio.create_task(self._run(worker), name=f"pod {worker.pod['metadata']['name']}")
        self._tasks[uid] = task
        self._on_change()

    async def _run(self, worker: PodWorker) -> None:
        """A worker's outer loop: a bug in it is logged and the worker begun anew."""
        while True:
            try:
                await worker.run()
                break
            except Exception:
                self._log.exception("pod worker failed", pod=worker.pod["metadata"]["name"])
                await self._kit.clock.sleep(5.0)
        self._workers.pop(worker.uid, None)
        self._tasks.pop(worker.uid, None)
        self._begin_static()
        self._on_change()

    def wake(self, uid: str) -> None:
        """A container of a pod has changed."""
        if worker := self._workers.get(uid):
            worker.wake()

    def refresh(self, uid: str) -> None:
        """Something a pod refers to has changed."""
        if worker := self._workers.get(uid):
            worker.refresh()

    def wake_all(self) -> None:
        """The engine or the network is there again: what was held is tried now."""
        for worker in self._workers.values():
            worker.refresh()

    def workers(self) -> list[PodWorker]:
        """All workers."""
        return list(self._workers.values())

    def find(self, namespace: str, name: str) -> PodWorker | None:
        """The worker of a pod by name; the living one if there are two."""
        found = [
            w
            for w in self._workers.values()
            if w.pod["metadata"]["name"] == name and w.pod["metadata"].get("namespace", "default") == namespace
        ]
        return min(found, key=lambda w: w.is_ending, default=None)

    # --- leftovers --------------------------------------------------------------------------------------------------

    async def clean_up(self) -> None:
        """Stop containers and remove directories of pods that nobody wants any more; all sources have been heard."""
        for uid in self._kit.store.uids():
            if uid and uid not in self._workers:
                self._stop_unwanted(uid)
        for uid in await asyncio.to_thread(pod_dirs, Path(self._kit.settings.root)):
            if uid not in self._workers:
                await self._kit.volumes.teardown(uid)

    def _stop_unwanted(self, uid: str) -> None:
        states = self._kit.store.pod(uid)
        self._log.info("stopping a pod that is no longer wanted", uid=uid, containers=len(states))
        worker = PodWorker(self._kit, _ghost(uid, states[0]))
        worker.remove()
        self._begin(worker)

    async def close(self) -> None:
        """End all workers; their containers run on."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _full_name(pod: Object) -> tuple[str, str]:
    return pod["metadata"].get("namespace", "default"), pod["metadata"]["name"]


def _owner(state: ContainerState) -> tuple[str, str]:
    """The namespace and name of a container's pod."""
    return state.labels.get(POD_NAMESPACE, ""), state.labels.get(POD_NAME, "")


def _ghost(uid: str, state: ContainerState) -> Object:
    """What is known of a pod of which only containers are left."""
    labels = state.labels
    return {
        "metadata": {
            "uid": uid,
            "name": labels.get(POD_NAME, ""),
            "namespace": labels.get(POD_NAMESPACE, ""),
            "deletionGracePeriodSeconds": int(labels.get(GRACE, "30")),
        },
        "spec": {"containers": []},
    }
