"""Attaches and detaches disks as VolumeAttachments ask. Does what the CSI side-car external-attacher does."""

from __future__ import annotations

from api import meta, resources, timestamp
from api.errors import NotFound
from api.meta import is_deleting, name
from api.types import Object
from client.controller import Context, Controller
from controllers.cloud.provider import CloudError, Disks
from controllers.volumes.names import is_shared, volume_of
from controllers.volumes.protection import with_finalizer, without_finalizer


def finalizer_of(driver: str) -> str:
    """The finalizer on attachments and volumes of a driver."""
    return f"external-attacher/{driver.replace('.', '-')}"


class Attacher(Controller):
    """Keys: VolumeAttachments, and `volume:name` for volumes that are being deleted."""

    name = "disk-attacher"
    workers = 4

    def __init__(self, ctx: Context, disks: Disks) -> None:
        super().__init__(ctx)
        attachments = ctx.informers.informer(resources.VOLUMEATTACHMENTS)
        volumes = ctx.informers.informer(resources.PERSISTENTVOLUMES)
        attachments.add_index("volume", lambda a: (volume_of(a),))
        self.attachments, self.volumes, self.disks = attachments.lister, volumes.lister, disks
        self.finalizer = finalizer_of(disks.driver)
        attachments.add_handler(self._on_attachment, lambda _, new: self._on_attachment(new), self._on_gone)
        volumes.add_handler(self._on_volume, lambda _, new: self._on_volume(new))

    def _on_attachment(self, attachment: Object) -> None:
        if attachment["spec"]["attacher"] == self.disks.driver:
            self.queue.add(name(attachment))

    def _on_gone(self, attachment: Object) -> None:
        if attachment["spec"]["attacher"] == self.disks.driver:
            self.queue.add(f"volume:{volume_of(attachment)}")
            for other in self.attachments.by_index("volume", volume_of(attachment)):
                self.queue.add(name(other))

    def _on_volume(self, volume: Object) -> None:
        if is_deleting(volume) and self.finalizer in (volume["metadata"].get("finalizers") or ()):
            self.queue.add(f"volume:{name(volume)}")
        for attachment in self.attachments.by_index("volume", name(volume)):
            if not (attachment.get("status") or {}).get("attached"):
                self._on_attachment(attachment)

    async def reconcile(self, key: str) -> None:
        """Bring one attachment to what it asks for."""
        if key.startswith("volume:"):
            await self._let_go(self.volumes.get(key.removeprefix("volume:")))
            return
        attachment = self.attachments.get(key)
        if attachment is None:
            return
        if is_deleting(attachment):
            await self._detach(key, attachment)
        else:
            await self._attach(key, attachment)

    async def _attach(self, key: str, attachment: Object) -> None:
        """Also run for what is attached: after a reboot the device is another one, or none."""
        if changed := with_finalizer(attachment, self.finalizer):
            attachment = await self.client.update(resources.VOLUMEATTACHMENTS, changed)
        volume = self.volumes.get(volume_of(attachment))
        if volume is None:
            await self._report(attachment, attachError=f"volume {volume_of(attachment)} does not exist")
            return
        if is_deleting(volume):
            await self._report(attachment, attachError=f"volume {name(volume)} is being deleted")
            return
        if changed := with_finalizer(volume, self.finalizer):
            volume = await self.client.update(resources.PERSISTENTVOLUMES, changed)
        shared = is_shared(volume)
        try:
            handle = volume["spec"]["csi"]["volumeHandle"]
            device = await self.disks.attach(handle, attachment["spec"]["nodeName"], shared=shared)
        except CloudError as error:
            await self._report(attachment, attachError=str(error))
            self.queue.add_rate_limited(key)
            return
        status = {"attached": True, "attachmentMetadata": {"devicePath": device}}
        if (attachment.get("status") or {}) != status:
            await self.client.update(
                resources.VOLUMEATTACHMENTS, {**attachment, "status": status}, subresource="status"
            )

    async def _detach(self, key: str, attachment: Object) -> None:
        if self.finalizer not in (attachment["metadata"].get("finalizers") or ()):
            return
        volume = self.volumes.get(volume_of(attachment))
        # A volume's disk has the volume's name: both come from the provisioner.
        handle = volume["spec"]["csi"]["volumeHandle"] if volume else volume_of(attachment)
        try:
            await self.disks.detach(handle, attachment["spec"]["nodeName"])
        except CloudError as error:
            await self._report(attachment, detachError=str(error))
            self.queue.add_rate_limited(key)
            return
        if changed := without_finalizer(attachment, self.finalizer):
            try:
                await self.client.update(resources.VOLUMEATTACHMENTS, changed)
            except NotFound:
                return

    async def _let_go(self, volume: Object | None) -> None:
        """A volume that is being deleted keeps our finalizer until its last attachment has ended."""
        if volume is None or not is_deleting(volume) or self.attachments.by_index("volume", name(volume)):
            return
        if changed := without_finalizer(volume, self.finalizer):
            await self.client.update(resources.PERSISTENTVOLUMES, changed)

    async def _report(self, attachment: Object, **errors: str) -> None:
        """Write what went wrong, unless the status says so already."""
        status = {"attached": False, **(attachment.get("status") or {})}
        for kind, message in errors.items():
            if (status.get(kind) or {}).get("message") == message:
                return
            status[kind] = {"time": timestamp.now(), "message": message}
        self.log.warning("not done", attachment=meta.name(attachment), **errors)
        await self.client.update(resources.VOLUMEATTACHMENTS, {**attachment, "status": status}, subresource="status")
