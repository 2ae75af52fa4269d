"""What the controllers of Services share: queueing a Service when it, one of its pods or one of its slices changes."""

from __future__ import annotations

from collections.abc import Callable

from api import meta, resources
from api.types import Object
from client.controller import Context, Controller
from controllers.endpoints import members
from controllers.endpoints.slices import MANAGED_BY, SERVICE_NAME, Plan, Tracker
from controllers.slowstart import all_of


class ServiceController(Controller):
    """Base: keys are Services; a pod's change queues the Services that select it or did."""

    workers = 5

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        services = ctx.informers.informer(resources.SERVICES)
        pods = ctx.informers.informer(resources.PODS)
        self.services, self.pods = services.lister, pods.lister
        services.add_handler(self.enqueue, lambda _, new: self.enqueue(new), self.enqueue)
        pods.add_handler(self._pod_came_or_went, self._pod_changed, self._pod_came_or_went)

    def _pod_came_or_went(self, pod: Object) -> None:
        for service in members.matching(self.services.list(meta.namespace(pod)), [pod]):
            self.enqueue(service)

    def _pod_changed(self, old: Object, new: Object) -> None:
        if members.relevant(old) != members.relevant(new):
            for service in members.matching(self.services.list(meta.namespace(new)), [old, new]):
                self.enqueue(service)

    def pods_of(self, service: Object) -> list[Object]:
        """The cached pods that the Service selects."""
        pods = self.pods.list(meta.namespace(service))
        return [pod for pod in pods if members.selects(service, meta.labels(pod))]


class SliceWriter:
    """Carries out plans for the slices of one manager, and knows when the cache lags behind them."""

    def __init__(self, ctx: Context, manager: str, queue: Callable[[str], None]) -> None:
        self.client, self.clock = ctx.client, ctx.clock
        self.manager, self.queue = manager, queue
        self.tracker = Tracker()
        self.waiting: set[str] = set()
        informer = ctx.informers.informer(resources.ENDPOINTSLICES)
        informer.add_index("service", _service_key)
        self.lister = informer.lister
        informer.add_handler(self._changed, lambda _, new: self._changed(new), self._gone)

    def _changed(self, obj: Object) -> None:
        if meta.labels(obj).get(MANAGED_BY) != self.manager:
            return
        for key in _service_key(obj):
            if key in self.waiting or not self.tracker.ours(key, obj):
                self.queue(key)

    def _gone(self, obj: Object) -> None:
        if meta.labels(obj).get(MANAGED_BY) == self.manager:
            for key in _service_key(obj):
                self.tracker.gone(key, obj)
                self.queue(key)

    def existing(self, key: str) -> list[Object] | None:
        """The manager's slices of a Service; None while the cache lags, whose event will queue the key again."""
        found = [s for s in self.lister.by_index("service", key) if meta.labels(s).get(MANAGED_BY) == self.manager]
        if self.tracker.stale(key, found, self.clock.now()):
            self.waiting.add(key)
            return None
        self.waiting.discard(key)
        return [s for s in found if not meta.is_deleting(s)]

    async def carry_out(self, key: str, plan: Plan, owner: Object, name: str) -> None:
        """Write a plan. `owner` is the reference that new slices bear, `name` the prefix of their names."""
        namespace, _ = meta.split_key(key)

        async def create(obj: Object) -> None:
            metadata = {
                **obj["metadata"], "generateName": f"{name}-", "namespace": namespace, "ownerReferences": [owner],
            }  # fmt: skip
            self.tracker.wrote(
                key, await self.client.create(resources.ENDPOINTSLICES, {**obj, "metadata": metadata}), self.clock.now()
            )

        async def update(obj: Object) -> None:
            self.tracker.wrote(key, await self.client.update(resources.ENDPOINTSLICES, obj), self.clock.now())

        async def delete(obj: Object) -> None:
            await self.client.delete(resources.ENDPOINTSLICES, meta.name(obj), namespace, uid=meta.uid(obj))

        await all_of(
            [*map(create, plan.create), *map(update, plan.update), *map(delete, plan.delete)],
        )


def _service_key(obj: Object) -> tuple[str, ...]:
    name = meta.labels(obj).get(SERVICE_NAME)
    return (f"{meta.namespace(obj)}/{name}",) if name else ()
