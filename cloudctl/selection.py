"""Which objects a verb acts on: those named, those of a selector, all of a type, or those of files."""

from __future__ import annotations

from dataclasses import dataclass, field

from api.types import Object, Resource
from cloudctl import lists, manifests
from cloudctl.faults import Fault
from cloudctl.session import Session


@dataclass
class Selection:
    """The flags that many verbs share."""

    words: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    selector: str = ""
    field_selector: str = ""
    everything: bool = False
    all_namespaces: bool = False


async def select(session: Session, chosen: Selection) -> list[tuple[Resource, Object]]:
    """The live objects with their resources. Raises Fault, NotFound."""
    if chosen.files:
        return [await _of_file(session, manifest) for manifest in manifests.read(chosen.files)]
    found: list[tuple[Resource, Object]] = []
    for target in await session.resolver.targets(chosen.words):
        space = session.namespace if target.resource.namespaced and not chosen.all_namespaces else None
        if target.names:
            if chosen.selector or chosen.everything:
                raise Fault("name cannot be provided when a selector or --all is specified")
            found += [(target.resource, await session.client.get(target.resource, n, space)) for n in target.names]
        elif not (chosen.selector or chosen.field_selector or chosen.everything):
            raise Fault("resource(s) were provided, but no name was specified; name objects, or use -l or --all")
        else:
            query = lists.Query(chosen.selector, chosen.field_selector)
            listed = await lists.whole(session.client, target.resource, space, query)
            found += [(target.resource, item) for item in listed["items"]]
    return found


async def _of_file(session: Session, manifest: manifests.Manifest) -> tuple[Resource, Object]:
    resource = await session.resolver.of(manifest.obj)
    meta = manifest.obj["metadata"]
    space = (meta.get("namespace") or session.namespace) if resource.namespaced else None
    return resource, await session.client.get(resource, meta.get("name", ""), space)
