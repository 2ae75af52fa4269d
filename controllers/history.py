"""ControllerRevisions: the past templates of DaemonSets and StatefulSets, numbered, found again by content, thinned out.

Source: the Kubernetes documentation, "ControllerRevision"; `kubectl rollout undo` reads them.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from api import meta, resources
from api.errors import AlreadyExists, NotFound
from api.selectors import LabelSelector
from api.types import Object, Resource
from client.controller import Context
from controllers import ownership
from controllers.podstate import created_at
from controllers.templates import fingerprint, same_template


def data_of(owner: Object) -> Object:
    """What a revision stores: a patch that puts the owner's present template back."""
    return {"spec": {"template": {**owner["spec"]["template"], "$patch": "replace"}}}


def order(revision: Object) -> tuple[int, object, str]:
    """Sorts oldest first."""
    return number(revision), created_at(revision), meta.name(revision)


def number(revision: Object) -> int:
    """Its place in history, from 1."""
    return int(revision.get("revision") or 0)


def same_data(revision: Object, data: Object) -> bool:
    """Whether the revision stores the same template."""
    stored = ((revision.get("data") or {}).get("spec") or {}).get("template") or {}
    return same_template(stored, data["spec"]["template"])


def applied(owner: Object, revision: Object) -> Object:
    """A copy of the owner with the revision's template."""
    template = copy.deepcopy(revision["data"]["spec"]["template"])
    template.pop("$patch", None)
    return {**owner, "spec": {**owner["spec"], "template": template}}


class History:
    """Reads and writes the revisions of owners of one kind."""

    def __init__(self, ctx: Context, owners: Resource, label: str) -> None:
        """`label` is under which a revision bears its hash."""
        self.client, self.owners, self.label = ctx.client, owners, label
        informer = ctx.informers.informer(resources.CONTROLLERREVISIONS)
        ownership.index_by_controller(informer)
        self.lister = informer.lister
        self.claimer = ownership.Claimer(ctx.client, resources.CONTROLLERREVISIONS, owners)

    async def list(self, owner: Object, selector: LabelSelector) -> list[Object]:
        """The owner's revisions, oldest first; orphans that match are adopted."""
        mine = await self.claimer.claim(owner, selector, ownership.candidates(self.lister, owner))
        return sorted(mine, key=order)

    async def current(
        self, owner: Object, known: Sequence[Object], collisions: int | None
    ) -> tuple[Object, int | None]:
        """The revision of the owner's present template, which is made or renumbered if need be, and the collision count.

        `known` are its revisions, oldest first.
        """
        data = data_of(owner)
        latest = number(known[-1]) if known else 0
        found = next((r for r in reversed(known) if same_data(r, data)), None)
        if found is None:
            return await self._create(owner, data, latest + 1, collisions)
        if number(found) < latest:
            # a template from the past has come back: it is the newest now
            found = await self.client.update(resources.CONTROLLERREVISIONS, {**found, "revision": latest + 1})
        return found, collisions

    async def _create(
        self, owner: Object, data: Object, revision: int, collisions: int | None
    ) -> tuple[Object, int | None]:
        labels = (owner["spec"]["template"].get("metadata") or {}).get("labels") or {}
        while True:
            digest = fingerprint(data, collisions)
            metadata: Object = {
                "name": f"{meta.name(owner)}-{digest}",
                "namespace": meta.namespace(owner),
                "labels": {**labels, self.label: digest},
                "annotations": dict(meta.annotations(owner)),
                "ownerReferences": [meta.owner_reference(self.owners, owner)],
            }
            metadata["annotations"].pop("kubectl.kubernetes.io/last-applied-configuration", None)
            body: Object = {"metadata": metadata, "data": data, "revision": revision}
            try:
                return await self.client.create(resources.CONTROLLERREVISIONS, body), collisions
            except AlreadyExists:
                present = await self.client.get(
                    resources.CONTROLLERREVISIONS, str(metadata["name"]), meta.namespace(owner)
                )
                if same_data(present, data) and meta.is_controlled_by(present, owner):
                    return present, collisions
                collisions = (collisions or 0) + 1

    async def thin_out(self, known: Sequence[Object], live: set[str], limit: int) -> None:
        """Delete the oldest revisions beyond `limit`, sparing those whose names are in `live`."""
        idle = [r for r in known if meta.name(r) not in live]
        for revision in idle[: max(0, len(idle) - limit)]:
            try:
                await self.client.delete(
                    resources.CONTROLLERREVISIONS, meta.name(revision), meta.namespace(revision), uid=meta.uid(revision)
                )
            except NotFound:
                continue
