"""Counts what each namespace uses of its ResourceQuotas. Admission adds to `status.used`; this takes away, and puts right."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from api import meta, quota, resources
from api.types import Object, Resource
from client.controller import Context, Controller
from client.informer import Informer
from controllers.discovery import discover
from controllers.podstate import is_terminal
from controllers.status import write_status

_RECOUNT_SECONDS = 300.0
_SYNC_SECONDS = 10.0
_SETTLE_SECONDS = 0.5
_WHOLE = (resources.PODS, resources.SERVICES, resources.PERSISTENTVOLUMECLAIMS)
"""Kinds whose specs count; of all others only the number does, so their metadata is enough."""


def counted(hard: Object, known: tuple[Resource, ...]) -> list[Resource]:
    """The resources that a quota's limits speak of."""
    plain = {name.removeprefix("count/") for name in hard}
    found = [r for r in known if r.qualified in plain and "list" in r.verbs]
    words = {name.rpartition(".")[2] for name in hard} | {name.partition(".")[0] for name in hard}
    for resource, hints in (
        (resources.PODS, {"cpu", "memory", "ephemeral-storage", "limits", "requests"}),
        (resources.SERVICES, {"loadbalancers", "nodeports"}),
        (resources.PERSISTENTVOLUMECLAIMS, {"storage"}),
    ):
        if resource not in found and (words & hints or any(".storageclass." in name for name in hard)):
            found.append(resource)
    return found


class QuotaController(Controller):
    """Keys are ResourceQuotas."""

    name = "resourcequota"

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        quotas = ctx.informers.informer(resources.RESOURCEQUOTAS)
        self.quotas = quotas.lister
        self.counters: dict[Resource, Informer] = {}
        for resource in _WHOLE:
            self._counter(resource)
        quotas.add_handler(self.enqueue, self._quota_changed)

    def _quota_changed(self, old: Object, new: Object) -> None:
        wanted = new.get("spec") or {}
        if old.get("spec") != wanted or (new.get("status") or {}).get("hard") != wanted.get("hard"):
            self.enqueue(new)

    def _counter(self, resource: Resource) -> Informer:
        if resource not in self.counters:
            informers = self.context.informers
            whole = resource in _WHOLE
            informer = informers.existing(resource) or informers.informer(resource, metadata_only=not whole)
            self.counters[resource] = informer
            informer.add_handler(self._used, self._changed if whole else None, self._freed)
        return self.counters[resource]

    def _used(self, obj: Object) -> None:
        # admission has charged for it; this only mends what admission could not know
        for found in self.quotas.list(meta.namespace(obj)):
            self.queue.add_after(meta.key(found), _SETTLE_SECONDS)

    def _freed(self, obj: Object) -> None:
        for found in self.quotas.list(meta.namespace(obj)):
            self.enqueue(found)

    def _changed(self, old: Object, new: Object) -> None:
        if is_terminal(old) != is_terminal(new) or old.get("spec") != new.get("spec"):
            self._freed(new)

    async def reconcile(self, key: str) -> None:
        """Count and write."""
        found = self.quotas.get(key)
        if found is None:
            return
        hard = (found.get("spec") or {}).get("hard") or {}
        used = dict.fromkeys(hard, Decimal(0))
        for resource in counted(hard, await self._known(hard)):
            counter = self._counter(resource)
            async with asyncio.timeout(_SYNC_SECONDS):
                await counter.synced.wait()
            for obj in counter.lister.list(meta.namespace(found)):
                if quota.applies(found, resource, obj):
                    for name, amount in quota.usage(resource, obj).items():
                        if name in used:
                            used[name] += amount
        status = {"hard": hard, "used": {name: quota.text(name, amount) for name, amount in used.items()}}
        await write_status(self.client, resources.RESOURCEQUOTAS, found, status)
        self.queue.add_after(key, _RECOUNT_SECONDS)

    async def _known(self, hard: Object) -> tuple[Resource, ...]:
        """The registry's resources, or the server's when a limit names one that is not in the registry."""
        names = {r.qualified for r in resources.ALL}
        if all(n.removeprefix("count/") in names for n in hard if n.startswith("count/")):
            return resources.ALL
        return (await discover(self.client)).resources
