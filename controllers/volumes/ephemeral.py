"""Makes the claims of generic ephemeral volumes: one per pod and volume, owned by the pod, so that it goes with it.

A claim of the right name that is not the pod's is never taken: whatever is on its volume is somebody else's. Source:
KEP-1698, Kubernetes' "Ephemeral Volumes".
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

from api import resources
from api.meta import is_controlled_by, is_deleting, key, namespace, owner_reference
from api.types import Object
from api.volumes import claim_name
from client.controller import Context, Controller
from controllers.volumes.names import claim_keys


def volumes(pod: Object) -> Iterator[Object]:
    """The pod's generic ephemeral volumes."""
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        if volume.get("ephemeral"):
            yield volume


def claim_for(pod: Object, volume: Object) -> Object:
    """The claim to create: labels, annotations and spec are the template's. Pure."""
    template = volume["ephemeral"]["volumeClaimTemplate"]
    given = template.get("metadata") or {}
    metadata: Object = {"name": claim_name(pod, volume), "namespace": namespace(pod)}
    metadata |= {field: deepcopy(given[field]) for field in ("labels", "annotations") if given.get(field)}
    metadata["ownerReferences"] = [owner_reference(resources.PODS, pod)]
    return {"metadata": metadata, "spec": deepcopy(template["spec"])}


class EphemeralVolumes(Controller):
    """Keys are pods. What a pod asks for never changes; only its arrival and the loss of a claim make work."""

    name = "ephemeral-volume"

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        pods = ctx.informers.informer(resources.PODS)
        claims = ctx.informers.informer(resources.PERSISTENTVOLUMECLAIMS)
        pods.add_index("claim", claim_keys)
        self.pods, self.claims = pods.lister, claims.lister
        pods.add_handler(self._on_pod)
        claims.add_handler(on_delete=self._on_claim_lost)

    def _on_pod(self, pod: Object) -> None:
        if not is_deleting(pod) and any(volumes(pod)):
            self.enqueue(pod)

    def _on_claim_lost(self, claim: Object) -> None:
        for pod in self.pods.by_index("claim", key(claim)):
            self._on_pod(pod)

    async def reconcile(self, key: str) -> None:
        """Create the claims that one pod lacks; say so when a claim of such a name is not the pod's."""
        pod = self.pods.get(key)
        if pod is None or is_deleting(pod):
            return
        for volume in volumes(pod):
            await self._ensure(pod, volume)

    async def _ensure(self, pod: Object, volume: Object) -> None:
        claim = self.claims.get(f"{namespace(pod)}/{claim_name(pod, volume)}")
        if claim is None:
            # If the cache is behind, the refusal brings the pod back here with a claim to look at.
            await self.client.create(resources.PERSISTENTVOLUMECLAIMS, claim_for(pod, volume), namespace(pod))
        elif not is_controlled_by(claim, pod):
            # No retry: when that claim goes, its deletion brings the pod back.
            what = f'PVC "{key(claim)}" was not created for pod "{key(pod)}" (pod is not owner)'
            self.recorder.event(pod, "Warning", "FailedBinding", f"ephemeral volume {volume['name']}: {what}")
