"""Binds claims to volumes, both ways, and says what became of each.

A claim and a volume are bound when each names the other; the volume's side is written first, because it is what keeps two
claims apart. Whoever provisions does so in its own process, told by an annotation on the claim.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

from api import meta, resources
from api.errors import NotFound
from api.meta import is_deleting, key, name, namespace, uid
from api.types import Object, Resource
from client.controller import Context, Controller
from controllers.volumes import matching
from controllers.volumes.names import (
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    DEFAULT_CLASS,
    NO_PROVISIONER,
    PROVISIONER,
    PROVISIONER_BETA,
    SELECTED_NODE,
    WAIT,
    class_of,
    has_class,
    is_claimed_by,
)

_CLAIM, _VOLUME = "claim:", "volume:"
Change = Callable[[Object], None]


class VolumeBinder(Controller):
    """Keys: `claim:namespace/name` and `volume:name`."""

    name = "persistentvolume-binder"

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        claims = ctx.informers.informer(resources.PERSISTENTVOLUMECLAIMS)
        volumes = ctx.informers.informer(resources.PERSISTENTVOLUMES)
        classes = ctx.informers.informer(resources.STORAGECLASSES)
        claims.add_index("pending", lambda c: () if (c["spec"].get("volumeName")) else (class_of(c),))
        volumes.add_index("class", lambda v: (class_of(v),))
        self.claims, self.volumes, self.classes = claims.lister, volumes.lister, classes.lister
        claims.add_handler(self._on_claim, lambda _, new: self._on_claim(new), self._on_claim)
        volumes.add_handler(self._on_volume, lambda _, new: self._on_volume(new), self._on_volume)
        classes.add_handler(self._on_class, lambda _, new: self._on_class(new))

    def _on_claim(self, claim: Object) -> None:
        self.queue.add(_CLAIM + key(claim))
        if volume := claim["spec"].get("volumeName"):
            self.queue.add(_VOLUME + volume)

    def _on_volume(self, volume: Object) -> None:
        self.queue.add(_VOLUME + name(volume))
        if ref := volume["spec"].get("claimRef"):
            self.queue.add(f"{_CLAIM}{ref['namespace']}/{ref['name']}")
        else:
            self._wake(class_of(volume))

    def _on_class(self, storage_class: Object) -> None:
        self._wake(name(storage_class))
        if meta.annotations(storage_class).get(DEFAULT_CLASS) == "true":
            self._wake("")

    def _wake(self, class_name: str) -> None:
        for claim in self.claims.by_index("pending", class_name):
            self.queue.add(_CLAIM + key(claim))

    async def reconcile(self, key: str) -> None:
        """Bring one claim or one volume closer to being bound, or released."""
        if key.startswith(_CLAIM):
            claim = self.claims.get(key.removeprefix(_CLAIM))
            if claim is not None:
                await self._claim(claim)
        else:
            volume = self.volumes.get(key.removeprefix(_VOLUME))
            if volume is not None:
                await self._volume(volume)

    async def _claim(self, claim: Object) -> None:
        chosen = claim["spec"].get("volumeName")
        if BIND_COMPLETED in meta.annotations(claim):
            await self._bound_claim(claim, chosen)
        elif not chosen:
            await self._find(claim)
        else:
            await self._asked_for(claim, self.volumes.get(chosen))

    async def _find(self, claim: Object) -> None:
        if is_deleting(claim):
            return
        if not has_class(claim) and (default := self._default_class()):
            await self._change(
                resources.PERSISTENTVOLUMECLAIMS, claim, lambda c: c["spec"].update(storageClassName=default)
            )
            return
        storage_class = self.classes.get(class_of(claim))
        waits = (storage_class or {}).get("volumeBindingMode") == WAIT and SELECTED_NODE not in meta.annotations(claim)
        volume = matching.best(claim, self.volumes.by_index("class", class_of(claim)), prebound_only=waits)
        if volume is not None:
            await self._bind(volume, claim)
            return
        await self._claim_phase(claim, "Pending")
        if waits:
            message = "waiting for first consumer to be created before binding"
            self.recorder.event(claim, "Normal", "WaitForFirstConsumer", message)
        elif not class_of(claim):
            message = "no persistent volumes available for this claim and no storage class is set"
            self.recorder.event(claim, "Normal", "FailedBinding", message)
        else:
            await self._ask_for_volume(claim, storage_class)

    def _default_class(self) -> str:
        """The newest class marked as default, as Kubernetes breaks the tie; empty for none."""
        marked = [c for c in self.classes.list() if meta.annotations(c).get(DEFAULT_CLASS) == "true"]
        marked.sort(key=lambda c: (c["metadata"].get("creationTimestamp", ""), name(c)))
        return name(marked[-1]) if marked else ""

    async def _ask_for_volume(self, claim: Object, storage_class: Object | None) -> None:
        if storage_class is None:
            message = f'storageclass.storage.k8s.io "{class_of(claim)}" not found'
            self.recorder.event(claim, "Warning", "ProvisioningFailed", message)
            return
        provisioner = storage_class["provisioner"]
        if provisioner == NO_PROVISIONER:
            message = "no persistent volumes available for this claim and its class makes none"
            self.recorder.event(claim, "Normal", "FailedBinding", message)
            return
        if meta.annotations(claim).get(PROVISIONER) != provisioner:
            wanted = {PROVISIONER: provisioner, PROVISIONER_BETA: provisioner}
            await self._change(resources.PERSISTENTVOLUMECLAIMS, claim, lambda c: _annotate(c, wanted))
        message = (
            f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the "
            "system administrator. If volume creation is delayed, please verify that the provisioner is running and "
            "correctly registered."
        )
        self.recorder.event(claim, "Normal", "ExternalProvisioning", message)

    async def _asked_for(self, claim: Object, volume: Object | None) -> None:
        """A claim that names its volume but is not bound yet."""
        if volume is None:
            await self._claim_phase(claim, "Pending")
        elif not volume["spec"].get("claimRef"):
            if why := matching.mismatch(claim, volume):
                message = f'Cannot bind to requested volume "{name(volume)}": {why}'
                self.recorder.event(claim, "Warning", "VolumeMismatch", message)
                await self._claim_phase(claim, "Pending")
            else:
                await self._bind(volume, claim)
        elif is_claimed_by(volume, claim):
            await self._bind(volume, claim)
        else:
            message = f'volume "{name(volume)}" already bound to a different claim.'
            self.recorder.event(claim, "Warning", "FailedBinding", message)
            await self._claim_phase(claim, "Pending")

    async def _bound_claim(self, claim: Object, chosen: str | None) -> None:
        volume = self.volumes.get(chosen) if chosen else None
        if not chosen:
            await self._lost(
                claim, "ClaimLost", "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
            )
        elif volume is None:
            if await self._gone(resources.PERSISTENTVOLUMES, chosen, None, ""):
                await self._lost(
                    claim, "ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
                )
        elif not volume["spec"].get("claimRef") or is_claimed_by(volume, claim):
            await self._bind(volume, claim)
        else:
            await self._lost(
                claim, "ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly"
            )

    async def _lost(self, claim: Object, reason: str, message: str) -> None:
        if (claim.get("status") or {}).get("phase") != "Lost":
            self.recorder.event(claim, "Warning", reason, message)
        await self._claim_phase(claim, "Lost")

    async def _bind(self, volume: Object, claim: Object) -> None:
        """Both sides, the volume's first; each step leaves alone what is already so."""
        ref = volume["spec"].get("claimRef")
        if not ref or not ref.get("uid"):
            volume = await self._change(resources.PERSISTENTVOLUMES, volume, lambda v: _claim_volume(v, claim))
        volume = await self._volume_phase(volume, "Bound")
        if claim["spec"].get("volumeName") != name(volume) or BIND_COMPLETED not in meta.annotations(claim):
            claim = await self._change(resources.PERSISTENTVOLUMECLAIMS, claim, lambda c: _complete(c, volume))
        if (claim.get("status") or {}).get("phase") != "Bound":
            status: Object = {
                "phase": "Bound",
                "accessModes": volume["spec"].get("accessModes") or [],
                "capacity": volume["spec"].get("capacity") or {},
            }
            await self._status(resources.PERSISTENTVOLUMECLAIMS, claim, status)

    async def _volume(self, volume: Object) -> None:
        ref = volume["spec"].get("claimRef")
        if not ref or not ref.get("uid"):
            await self._volume_phase(volume, "Available")
            return
        claim = self.claims.get(f"{ref['namespace']}/{ref['name']}")
        if claim is None or uid(claim) != ref["uid"]:
            # The cache may be behind the claim's creation; releasing a volume in use would lose data.
            gone = await self._gone(resources.PERSISTENTVOLUMECLAIMS, ref["name"], ref["namespace"], ref["uid"])
            if gone and (volume.get("status") or {}).get("phase") != "Failed":
                await self._volume_phase(volume, "Released")
            return
        chosen = claim["spec"].get("volumeName")
        if chosen == name(volume):
            await self._volume_phase(volume, "Bound")
        elif not chosen:
            self.queue.add(_CLAIM + key(claim))
        elif BOUND_BY_CONTROLLER in meta.annotations(volume):
            await self._change(resources.PERSISTENTVOLUMES, volume, _unclaim)
        else:
            await self._volume_phase(volume, "Released")

    async def _gone(self, resource: Resource, called: str, space: str | None, its_uid: str) -> bool:
        """Whether the server, too, has no such object (of that uid, if one is given)."""
        try:
            found = await self.client.get(resource, called, space)
        except NotFound:
            return True
        return bool(its_uid) and uid(found) != its_uid

    async def _claim_phase(self, claim: Object, phase: str) -> None:
        if (claim.get("status") or {}).get("phase") != phase:
            await self._status(resources.PERSISTENTVOLUMECLAIMS, claim, {**(claim.get("status") or {}), "phase": phase})

    async def _volume_phase(self, volume: Object, phase: str) -> Object:
        status = volume.get("status") or {}
        if status.get("phase") == phase:
            return volume
        return await self._status(resources.PERSISTENTVOLUMES, volume, {**status, "phase": phase})

    async def _status(self, resource: Resource, obj: Object, status: Object) -> Object:
        return await self.client.update(resource, {**obj, "status": status}, subresource="status")

    async def _change(self, resource: Resource, obj: Object, change: Change) -> Object:
        """Update a copy. Raises Conflict when the cache was behind; the key then comes again."""
        changed = deepcopy(obj)
        change(changed)
        return await self.client.update(resource, changed)


def _annotate(obj: Object, more: dict[str, str]) -> None:
    obj["metadata"]["annotations"] = {**meta.annotations(obj), **more}


def _claim_volume(volume: Object, claim: Object) -> None:
    if not volume["spec"].get("claimRef"):
        _annotate(volume, {BOUND_BY_CONTROLLER: "yes"})
    volume["spec"]["claimRef"] = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": namespace(claim),
        "name": name(claim),
        "uid": uid(claim),
        "resourceVersion": claim["metadata"].get("resourceVersion", ""),
    }


def _complete(claim: Object, volume: Object) -> None:
    more = {BIND_COMPLETED: "yes"}
    if claim["spec"].get("volumeName") != name(volume):
        claim["spec"]["volumeName"] = name(volume)
        more[BOUND_BY_CONTROLLER] = "yes"
    _annotate(claim, more)


def _unclaim(volume: Object) -> None:
    volume["spec"].pop("claimRef", None)
    kept = {k: v for k, v in meta.annotations(volume).items() if k != BOUND_BY_CONTROLLER}
    volume["metadata"]["annotations"] = kept
