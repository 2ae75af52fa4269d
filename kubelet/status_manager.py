"""Writes pod statuses to the API: only what changed, the newest only, one request per pod at a time, until it is accepted."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from api import resources
from api.errors import ApiError, Conflict, NotFound
from api.types import Object
from client.backoff import Backoff
from client.clock import Clock
from client.rest import ApiClient

_CLEARED = ("reason", "message", "initContainerStatuses", "ephemeralContainerStatuses", "resize")


def patch_for(pod: Object, status: Object) -> Object | None:
    """The strategic merge patch that turns the pod's status into `status`; None if nothing differs. Pure."""
    old = pod.get("status") or {}
    changed: dict[str, Any] = {k: v for k, v in status.items() if old.get(k) != v}
    for key in _CLEARED:
        if key in old and key not in status:
            changed[key] = None
    if "conditions" in changed:
        changed["conditions"] = _conditions(old.get("conditions") or [], status["conditions"])
        if not changed["conditions"]:
            del changed["conditions"]
    for key in ("podIPs", "hostIPs"):
        if key in changed:
            present = {entry["ip"] for entry in changed[key]}
            gone = [e["ip"] for e in old.get(key) or () if e["ip"] not in present]
            changed[key] = [*changed[key], *({"$patch": "delete", "ip": ip} for ip in gone)]
    return {"metadata": {"uid": pod["metadata"]["uid"]}, "status": changed} if changed else None


def _conditions(old: list[Object], new: list[Object]) -> list[Object]:
    """The conditions that differ; what one no longer has is set to null, as merging by type would keep it."""
    before = {c["type"]: c for c in old}
    result = []
    for condition in new:
        present = before.get(condition["type"], {})
        if condition != present:
            result.append({**{key: None for key in present if key not in condition}, **condition})
    return result


def _newer(pod: Object, written: Object | None) -> Object:
    """The later of what a watch showed and what our own last write answered."""
    if written is None:
        return pod
    return (
        pod
        if int(pod["metadata"].get("resourceVersion") or 0) >= int(written["metadata"]["resourceVersion"])
        else written
    )


class StatusManager:
    """Takes statuses and sees to it that the server has the newest."""

    def __init__(self, client: ApiClient, clock: Clock) -> None:
        self._client, self._clock = client, clock
        self._wanted: dict[str, tuple[Object, Object]] = {}
        self._sent: dict[str, Object] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._log = structlog.get_logger("status")

    def set(self, pod: Object, status: Object) -> None:
        """Note a pod's newest status; `pod` is the object as the server last showed it."""
        uid = pod["metadata"]["uid"]
        if uid not in self._tasks and self._sent.get(uid) == status and patch_for(pod, status) is None:
            return
        self._wanted[uid] = (pod, status)
        if uid not in self._tasks:
            self._tasks[uid] = asyncio.create_task(self._send(uid), name=f"status {uid}")

    async def flush(self, uid: str) -> None:
        """Wait until the server has the pod's newest status, or the pod is gone."""
        if task := self._tasks.get(uid):
            await asyncio.shield(task)

    def forget(self, uid: str) -> None:
        """Drop what is known of a pod that is gone."""
        self._wanted.pop(uid, None)
        self._sent.pop(uid, None)
        if task := self._tasks.get(uid):
            task.cancel()

    async def close(self) -> None:
        """Stop writing."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, uid: str) -> None:
        backoff = Backoff(first=0.2, longest=10.0)
        base: Object | None = None
        try:
            while uid in self._wanted:
                pod, status = self._wanted.pop(uid)
                pod = _newer(pod, base)
                patch = patch_for(pod, status)
                if patch is None:
                    self._sent[uid] = status
                    continue
                try:
                    base = await self._write(pod, patch)
                except (NotFound, Conflict) as error:
                    self._log.debug("pod is gone", pod=pod["metadata"]["name"], error=error.message)
                    return
                except ApiError as error:
                    self._wanted.setdefault(uid, (pod, status))
                    self._log.warning("status not written", pod=pod["metadata"]["name"], error=error.message)
                    await self._clock.sleep(backoff.next())
                else:
                    self._sent[uid] = status
        finally:
            self._tasks.pop(uid, None)

    async def _write(self, pod: Object, patch: Object) -> Object:
        meta = pod["metadata"]
        return await self._client.patch(
            resources.PODS, meta["name"], patch, meta["namespace"], subresource="status", kind="strategic"
        )
