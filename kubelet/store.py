"""What is known of this node's containers: filled once by a list, then kept by the engine's events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from kubelet.runtime import ContainerState


class ContainerStore:
    """Containers by id and by pod. `on_change` gets the uid of the pod a change belongs to, `on_gone` a sandbox that is no more.

    A container's state only moves forward, so answers that arrive out of order do no harm.
    """

    def __init__(
        self, on_change: Callable[[str], None], on_gone: Callable[[ContainerState], None] | None = None
    ) -> None:
        self._on_change, self._on_gone = on_change, on_gone
        self._states: dict[str, ContainerState] = {}
        self._pods: dict[str, dict[str, ContainerState]] = {}
        self._gone: dict[str, None] = {}
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}

    def put(self, state: ContainerState) -> None:
        """Note what was seen of a container."""
        known = self._states.get(state.id)
        if state.id in self._gone or (known is not None and not state.supersedes(known)):
            return
        self._states[state.id] = state
        uid = state.pod_uid
        self._pods.setdefault(uid, {})[state.id] = state
        if state.phase == "exited":
            self._release(state.id)
        if state != known:
            self._on_change(uid)

    def forget(self, container_id: str) -> None:
        """Note that a container is gone."""
        state = self._states.pop(container_id, None)
        self._gone[container_id] = None
        if len(self._gone) > 1000:
            del self._gone[next(iter(self._gone))]
        self._release(container_id)
        if state is None:
            return
        if self._on_gone and state.is_sandbox:
            self._on_gone(state)
        uid = state.pod_uid
        mine = self._pods.get(uid, {})
        mine.pop(container_id, None)
        if not mine:
            self._pods.pop(uid, None)
        self._on_change(uid)

    def replace(self, states: Iterable[ContainerState]) -> None:
        """Take over a whole list: what is not in it is gone."""
        present = {s.id: s for s in states}
        for container_id in [i for i in self._states if i not in present]:
            self.forget(container_id)
        for state in present.values():
            self.put(state)

    def get(self, container_id: str) -> ContainerState | None:
        return self._states.get(container_id)

    def pod(self, uid: str) -> list[ContainerState]:
        """A pod's containers and sandboxes."""
        return list(self._pods.get(uid, {}).values())

    def uids(self) -> list[str]:
        """The pods that have containers; the empty one stands for containers without a pod."""
        return list(self._pods)

    def all(self) -> list[ContainerState]:
        return list(self._states.values())

    async def exited(self, container_id: str, timeout: float | None) -> bool:
        """Wait until a container does not run; False when `timeout` seconds pass first."""
        state = self._states.get(container_id)
        if state is None or state.phase == "exited":
            return True
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(container_id, []).append(future)
        try:
            async with asyncio.timeout(timeout):
                await future
        except TimeoutError:
            return False
        return True

    def _release(self, container_id: str) -> None:
        for future in self._waiting.pop(container_id, ()):
            if not future.done():
                future.set_result(None)
