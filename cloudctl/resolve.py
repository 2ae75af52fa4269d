"""From the words people type to resources: `po`, `deploy/web`, `pods,svc`, `all`, `widgets.example.com`.

The registry of built-in kinds answers first, because that needs no request; for other words the server's discovery does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from api import resources
from api.types import Object, Resource
from client.rest import ApiClient
from cloudctl.faults import Fault

_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


@dataclass(frozen=True)
class Target:
    """A resource and, where they were named, the objects meant; no names means all of them."""

    resource: Resource
    names: tuple[str, ...] = ()


class Resolver:
    """Resolves words against one server; what discovery answered is kept for the command's life."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._discovered: list[Resource] | None = None

    async def resource(self, word: str) -> Resource:
        """The resource a word means. Raises Fault when the server has none."""
        known = resources.lookup(word)
        if known is not None and "list" in known.verbs:
            return known
        for candidate in await self.discovered():
            if word.lower() in _spellings(candidate):
                return candidate
        raise Fault(f'the server doesn\'t have a resource type "{word}"')

    async def of(self, obj: Object) -> Resource:
        """The resource of a manifest. Raises Fault when the server has no such kind."""
        known = resources.of(obj)
        if known is not None:
            return known
        version, kind = obj.get("apiVersion"), obj.get("kind")
        for candidate in await self.discovered():
            if candidate.group_version == version and candidate.kind == kind:
                return candidate
        raise Fault(
            f'no matches for kind "{kind}" in version "{version}": check the spelling, or install its definition first'
        )

    async def category(self, name: str) -> list[Resource]:
        """The resources of a category such as `all`."""
        found = [r for r in await self.discovered() if name in r.categories and "list" in r.verbs]
        seen: dict[tuple[str, str], Resource] = {}
        for resource in found:
            seen.setdefault((resource.group, resource.plural), resource)
        return list(seen.values())

    async def targets(self, words: Iterable[str]) -> list[Target]:
        """What `TYPE[,TYPE…] [NAME…]` or `TYPE/NAME…` means. Raises Fault for words that do not fit together."""
        given = list(words)
        if not given:
            raise Fault("You must specify the type of resource, e.g. `cloudctl get pods`; see `cloudctl api-resources`")
        if any("/" in word for word in given):
            return await self._slashed(given)
        types, names = given[0].split(","), tuple(given[1:])
        found: list[Target] = []
        for word in filter(None, types):
            if word == "all":
                found += [Target(resource, names) for resource in await self.category(word)]
            else:
                found.append(Target(await self.resource(word), names))
        if not found:
            raise Fault(f"no resource type in {given[0]!r}")
        return found

    async def _slashed(self, words: list[str]) -> list[Target]:
        found: list[Target] = []
        for word in words:
            kind, slash, name = word.partition("/")
            if not slash:
                raise Fault("there is no need to specify a resource type as a separate argument when using TYPE/NAME")
            if not kind or not name or "/" in name:
                raise Fault(f'arguments in resource/name form must have a single resource and name: "{word}"')
            resource = await self.resource(kind)
            if found and found[-1].resource == resource:
                found[-1] = Target(resource, (*found[-1].names, name))
            else:
                found.append(Target(resource, (name,)))
        return found

    async def one(self, words: Iterable[str]) -> tuple[Resource, str]:
        """Exactly one object. Raises Fault."""
        targets = await self.targets(words)
        if len(targets) != 1 or len(targets[0].names) != 1:
            raise Fault("exactly one object must be named, as TYPE NAME or TYPE/NAME")
        return targets[0].resource, targets[0].names[0]

    async def discovered(self) -> list[Resource]:
        """Every resource the server offers, preferred versions first."""
        if self._discovered is None:
            self._discovered = []
            for path in ("/api", "/apis"):
                response = await self._client.raw("GET", path, headers={"Accept": _AGGREGATED})
                answer = orjson.loads(response.content)
                if answer.get("kind") == "APIGroupDiscoveryList":
                    self._discovered += from_aggregated(answer)
                else:
                    self._discovered += await self._plain(path, answer)
        return self._discovered

    async def _plain(self, path: str, answer: Object) -> list[Resource]:
        """Discovery as servers without the aggregated form give it: one request per version."""
        versions = [g["preferredVersion"]["groupVersion"] for g in answer.get("groups") or ()] or answer.get(
            "versions", []
        )
        found: list[Resource] = []
        for version in versions:
            listed = orjson.loads((await self._client.raw("GET", f"{path}/{version}")).content)
            group, _, plain = str(version).rpartition("/")
            found += [
                _resource(group, plain, row, row["kind"]) for row in listed["resources"] if "/" not in row["name"]
            ]
        return found


def from_aggregated(answer: Object) -> list[Resource]:
    """The resources of an APIGroupDiscoveryList."""
    found: list[Resource] = []
    for group in answer.get("items") or ():
        for version in group.get("versions") or ():
            for row in version.get("resources") or ():
                name = {
                    **row,
                    "name": row["resource"],
                    "singularName": row.get("singularResource", ""),
                    "namespaced": row.get("scope") == "Namespaced",
                    "subresources": [s["subresource"] for s in row.get("subresources") or ()],
                }
                kind = row.get("responseKind", {}).get("kind", "")
                found.append(_resource(group["metadata"].get("name", ""), version["version"], name, kind))
    return found


def _resource(group: str, version: str, row: dict[str, Any], kind: str) -> Resource:
    return Resource(
        group=group,
        version=version,
        kind=kind,
        plural=row["name"],
        singular=row.get("singularName") or kind.lower(),
        model="",
        namespaced=bool(row.get("namespaced")),
        short_names=tuple(row.get("shortNames") or ()),
        categories=tuple(row.get("categories") or ()),
        subresources=tuple(row.get("subresources") or ()),
        verbs=tuple(row.get("verbs") or ()),
    )


def _spellings(resource: Resource) -> set[str]:
    names = {resource.plural, resource.singular, resource.kind.lower(), *resource.short_names}
    longer = {f"{name}.{resource.group}" for name in names}
    longest = {f"{name}.{resource.version}.{resource.group}" for name in names}
    return names | longer | longest
