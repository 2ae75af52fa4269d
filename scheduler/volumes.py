"""Claims and volumes as the scheduler sees them: what the informers know, and what it has itself promised meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from api import meta
from api.types import Object

SELECTED_NODE = "volume.kubernetes.io/selected-node"
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
_CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"


class Store(Protocol):
    """The part of a lister that is needed here."""

    def get(self, key: str) -> Object | None: ...

    def by_index(self, index: str, value: str) -> list[Object]: ...


def class_name(obj: Object) -> str:
    """The storage class of a claim or a volume, empty if it has none."""
    return meta.annotations(obj).get(_CLASS_ANNOTATION) or obj["spec"].get("storageClassName") or ""


def is_bound(claim: Object) -> bool:
    """Whether claim and volume both know of each other."""
    return bool(claim["spec"].get("volumeName")) and BIND_COMPLETED in meta.annotations(claim)


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to happen to a pod's claims once its node is known: volumes to bind, claims to have provisioned."""

    bind: tuple[tuple[str, str], ...] = ()
    """(claim key, volume name)."""
    provision: tuple[str, ...] = ()
    """Claim keys."""

    def __bool__(self) -> bool:
        return bool(self.bind or self.provision)


class VolumeCatalog:
    """Reads the listers, with the scheduler's own promises laid over them until the API shows them."""

    def __init__(self, claims: Store, volumes: Store, classes: Store) -> None:
        self._claims, self._volumes, self._classes = claims, volumes, classes
        self._promised_volumes: dict[str, str] = {}
        self._promised_nodes: dict[str, str] = {}
        self._changed: asyncio.Event | None = None

    def claim(self, namespace: str, name: str) -> Object | None:
        """A claim, with the node it has been promised to as its annotation."""
        key = f"{namespace}/{name}"
        claim = self._claims.get(key)
        node = self._promised_nodes.get(key)
        if claim is None or node is None or SELECTED_NODE in meta.annotations(claim):
            return claim
        noted = {**meta.annotations(claim), SELECTED_NODE: node}
        return {**claim, "metadata": {**claim["metadata"], "annotations": noted}}

    def raw_claim(self, key: str) -> Object | None:
        """A claim as the API shows it, without our promises."""
        return self._claims.get(key)

    def volume(self, name: str) -> Object | None:
        """A PersistentVolume."""
        return self._volumes.get(name)

    def storage_class(self, name: str) -> Object | None:
        """A StorageClass."""
        return self._classes.get(name)

    def available(self, storage_class: str) -> Iterable[Object]:
        """The volumes of a class, bound ones included."""
        return self._volumes.by_index("class", storage_class)

    def reserved_for(self, volume: str) -> str | None:
        """The key of the claim that a volume has been promised to."""
        return self._promised_volumes.get(volume)

    def reserve(self, plan: Plan, node: str) -> None:
        """Promise what the plan says until `release`."""
        self._promised_volumes |= {volume: claim for claim, volume in plan.bind}
        self._promised_nodes |= dict.fromkeys(plan.provision, node)

    def release(self, plan: Plan) -> None:
        """Take the promises back: the binding failed, or the API shows it now."""
        for _, volume in plan.bind:
            self._promised_volumes.pop(volume, None)
        for claim in plan.provision:
            self._promised_nodes.pop(claim, None)

    def notify(self) -> None:
        """A claim or a volume has changed: whoever waits looks again."""
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    async def changed(self) -> None:
        """Return at the next `notify`."""
        if self._changed is None:
            self._changed = asyncio.Event()
        await self._changed.wait()
