"""Creates the volume claims of a StatefulSet's pods and keeps their owner references as the retention policy wants them."""

from __future__ import annotations

from api import meta, resources
from api.errors import AlreadyExists, ApiError
from api.types import Object
from client.controller import Context
from controllers.statefulset import identity


class Claims:
    """The claims of all sets."""

    def __init__(self, ctx: Context) -> None:
        self.client, self.recorder = ctx.client, ctx.recorder
        self.lister = ctx.informers.informer(resources.PERSISTENTVOLUMECLAIMS).lister

    async def ensure(self, owner: Object, pod: Object) -> None:
        """Create what is missing. Raises ApiError; a claim that is being deleted is an error, too, until it is gone."""
        for claim in identity.claims_for(owner, pod):
            present = self.lister.get(meta.key(claim))
            if present is not None:
                if meta.is_deleting(present):
                    raise ApiError(f"the claim {meta.key(claim)} is being deleted")
                continue
            what = f"Claim {meta.name(claim)} Pod {meta.name(pod)} in StatefulSet {meta.name(owner)}"
            try:
                await self.client.create(resources.PERSISTENTVOLUMECLAIMS, claim)
            except AlreadyExists:
                continue
            except ApiError as error:
                self.recorder.event(owner, "Warning", "FailedCreate", f"create {what} failed error: {error.message}")
                raise
            self.recorder.event(owner, "Normal", "SuccessfulCreate", f"create {what} success")

    async def own(self, owner: Object, pod: Object) -> None:
        """Bring the owner references of the pod's claims in line with the retention policy."""
        wanted = identity.claim_owners(owner, pod)
        for template in identity.claim_templates(owner):
            name = identity.claim_name(template, owner, identity.ordinal_of(pod))
            claim = self.lister.get(f"{meta.namespace(owner)}/{name}")
            if claim is None or meta.is_deleting(claim):
                continue
            present = claim["metadata"].get("ownerReferences") or []
            others = [r for r in present if not _is_ours(r, owner, pod)]
            if [r.get("uid") for r in others + wanted] != [r.get("uid") for r in present]:
                metadata = {**claim["metadata"], "ownerReferences": others + wanted}
                await self.client.update(resources.PERSISTENTVOLUMECLAIMS, {**claim, "metadata": metadata})


def _is_ours(ref: Object, owner: Object, pod: Object) -> bool:
    """Whether the reference is one that the retention policy speaks of."""
    kind_and_name = (ref.get("kind"), ref.get("name"))
    return kind_and_name in ((resources.STATEFULSETS.kind, meta.name(owner)), (resources.PODS.kind, meta.name(pod)))
