"""Asking the server which resources it has, those included that appeared later (custom resources)."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from api import resources
from api.errors import ApiError
from api.types import Object, Resource
from client.rest import ApiClient

_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


@dataclass(frozen=True, slots=True)
class Discovered:
    """The preferred version of every resource; `failures` names group versions that could not be asked, and why."""

    resources: tuple[Resource, ...]
    failures: dict[str, str]


def resource_from(group: str, version: str, kind: str, plural: str, namespaced: bool, verbs: list[str]) -> Resource:
    """The registry's own row if it has one (so that informers are shared), or a row made from what discovery says."""
    known = resources.find(group, version, plural)
    if known is not None and set(verbs) == set(known.verbs):
        return known
    return Resource(group, version, kind, plural, kind.lower(), "", namespaced, verbs=tuple(verbs))


def from_aggregated(document: Object) -> list[Resource]:
    """Rows of an APIGroupDiscoveryList: for each resource the first version that lists it, since versions stand in order."""
    found: dict[tuple[str, str], Resource] = {}
    for group in document.get("items") or ():
        name = group.get("metadata", {}).get("name", "")
        for version in group.get("versions") or ():
            for row in version.get("resources") or ():
                kind = (row.get("responseKind") or {}).get("kind", "")
                resource = resource_from(
                    name,
                    version["version"],
                    kind,
                    row["resource"],
                    row.get("scope") == "Namespaced",
                    row.get("verbs") or [],
                )
                found.setdefault((name, row["resource"]), resource)
    return list(found.values())


def from_list(document: Object) -> list[Resource]:
    """Rows of an APIResourceList, subresources left out."""
    group, _, version = document["groupVersion"].rpartition("/")
    return [
        resource_from(group, version, row["kind"], row["name"], bool(row.get("namespaced")), row.get("verbs") or [])
        for row in document.get("resources") or ()
        if "/" not in row["name"]
    ]


async def discover(client: ApiClient) -> Discovered:
    """Everything the server serves now. Raises ApiError only when it cannot be asked at all."""
    found: list[Resource] = []
    failures: dict[str, str] = {}
    for path in ("/api", "/apis"):
        response = await client.raw("GET", path, headers={"Accept": _AGGREGATED})
        document: Object = orjson.loads(response.content)
        if document.get("kind") == "APIGroupDiscoveryList":
            found += from_aggregated(document)
            stale = ((g["metadata"].get("name", ""), v) for g in document.get("items") or () for v in g["versions"])
            for group, version in stale:
                if version.get("freshness") == "Stale":
                    failures[f"{group}/{version['version']}"] = "stale discovery"
            continue
        for prefix in _prefixes(document):
            try:
                listed = await client.raw("GET", prefix)
                found += from_list(orjson.loads(listed.content))
            except ApiError as error:
                failures[prefix.removeprefix("/apis/")] = error.message
    return Discovered(tuple(found), failures)


def _prefixes(document: Object) -> list[str]:
    if document.get("kind") == "APIVersions":
        return [f"/api/{version}" for version in document.get("versions") or ()]
    return [f"/apis/{group['preferredVersion']['groupVersion']}" for group in document.get("groups") or ()]
