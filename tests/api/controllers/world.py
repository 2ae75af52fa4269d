"""What the controllers' tests share: objects to create, and waits that follow a watch and fail with what was last seen."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from api import meta, resources
from api.errors import Expired, NotFound
from api.types import Object, Resource
from client.rest import ApiClient

SECONDS = 20.0


@dataclass
class World:
    """One namespace of a cluster whose controllers run."""

    client: ApiClient
    namespace: str

    async def create(self, resource: Resource, obj: Object) -> Object:
        return await self.client.create(resource, obj, self._space(resource))

    async def get(self, resource: Resource, name: str) -> Object:
        return await self.client.get(resource, name, self._space(resource))

    async def patch(self, resource: Resource, name: str, patch: Object, subresource: str | None = None) -> Object:
        return await self.client.patch(
            resource, name, patch, self._space(resource), subresource=subresource, kind="merge"
        )

    async def delete(self, resource: Resource, name: str, policy: str | None = None) -> None:
        await self.client.delete(resource, name, self._space(resource), propagation_policy=policy)

    async def all(self, resource: Resource, selector: str = "") -> list[Object]:
        listed = await self.client.list(resource, self._space(resource), label_selector=selector)
        items: list[Object] = listed["items"]
        return items

    async def annotate(self, resource: Resource, name: str, **notes: str | None) -> None:
        found = {key.replace("_", "/"): value for key, value in notes.items()}
        await self.patch(resource, name, {"metadata": {"annotations": found}})

    def _space(self, resource: Resource) -> str | None:
        return self.namespace if resource.namespaced else None

    async def until_list(
        self,
        resource: Resource,
        holds: Callable[[list[Object]], Any],
        *,
        selector: str = "",
        fields: str = "",
        seconds: float = SECONDS,
    ) -> list[Object]:
        """The objects as soon as `holds` is true of them, sorted by name."""
        seen: dict[str, Object] = {}

        def present() -> list[Object]:
            return [seen[k] for k in sorted(seen)]

        try:
            async with asyncio.timeout(seconds):
                while True:
                    listed = await self.client.list(
                        resource, self._space(resource), label_selector=selector, field_selector=fields
                    )
                    seen = {meta.name(obj): obj for obj in listed["items"]}
                    if holds(present()):
                        return present()
                    try:
                        async for event in self.client.watch(
                            resource,
                            self._space(resource),
                            resource_version=listed["metadata"]["resourceVersion"],
                            label_selector=selector,
                            field_selector=fields,
                        ):
                            if event["type"] == "BOOKMARK":
                                continue
                            if event["type"] == "DELETED":
                                seen.pop(meta.name(event["object"]), None)
                            else:
                                seen[meta.name(event["object"])] = event["object"]
                            if holds(present()):
                                return present()
                    except Expired:
                        continue
        except TimeoutError:
            pass
        raise AssertionError(f"{resource.plural} in {seconds:g} s never as wanted, but: {present()}")

    async def until(
        self, resource: Resource, name: str, holds: Callable[[Object], Any], seconds: float = SECONDS
    ) -> Object:
        """The object as soon as `holds` is true of it."""
        found = await self.until_list(
            resource, lambda objs: objs and holds(objs[0]), fields=f"metadata.name={name}", seconds=seconds
        )
        return found[0]

    async def until_gone(self, resource: Resource, name: str, seconds: float = SECONDS) -> None:
        await self.until_list(resource, lambda objs: not objs, fields=f"metadata.name={name}", seconds=seconds)

    async def exists(self, resource: Resource, name: str) -> bool:
        try:
            await self.get(resource, name)
        except NotFound:
            return False
        return True

    async def pods(self, selector: str = "") -> list[Object]:
        return await self.all(resources.PODS, selector)

    async def event(self, name: str, reason: str, seconds: float = SECONDS) -> Object:
        """The event with that reason about the object of that name."""
        found = await self.until_list(
            resources.EVENTS,
            lambda objs: any(e["reason"] == reason for e in objs),
            fields=f"involvedObject.name={name}",
            seconds=seconds,
        )
        return next(e for e in found if e["reason"] == reason)


def template(app: str, **spec: Any) -> Object:
    return {
        "metadata": {"labels": {"app": app}},
        "spec": {"containers": [{"name": "c", "image": "example/c:1"}]} | spec,
    }


def workload(name: str, **spec: Any) -> Object:
    """A Deployment, ReplicaSet, DaemonSet or StatefulSet, as the resource it is created with says."""
    selector = {"matchLabels": {"app": name}}
    return {"metadata": {"name": name}, "spec": {"selector": selector, "template": template(name)} | spec}


def job(name: str, notes: dict[str, str] | None = None, **spec: Any) -> Object:
    pod = {"metadata": {"annotations": notes or {}}, "spec": template(name)["spec"] | {"restartPolicy": "Never"}}
    return {"metadata": {"name": name}, "spec": {"template": pod} | spec}


def status(obj: Object) -> Object:
    found: Object = obj.get("status") or {}
    return found


def condition(obj: Object, kind: str) -> str:
    """`status/reason` of a condition, empty without one."""
    found = meta.get_condition(obj, kind)
    return f"{found['status']}/{found.get('reason', '')}" if found else ""
