"""Decides on which node each volume has to be attached and says so with a VolumeAttachment; who serves the driver does it.

A volume stays attached while a pod of the node needs it or the node says that it is in use. A node that does not answer may
still write to its volume, so it loses it only when it has gone, when an administrator has marked it `out-of-service`, or when
it has been not ready for six minutes. Source: Kubernetes' attach/detach controller, KEP-2268.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from api import resources
from api.errors import AlreadyExists, NotFound
from api.meta import get_condition, is_deleting, key, name
from api.pods import is_terminal
from api.types import Object
from api.volumes import attachment_name, unique_name
from client.controller import Context, Controller
from controllers.volumes.names import claim_keys, is_shared, volume_of

OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
FORCE_DETACH_SECONDS = 360.0


@dataclass(slots=True)
class Plan:
    """What to do about one volume's attachments. `blocked` are nodes that must wait until another lets go."""

    attach: list[str] = field(default_factory=list)
    detach: list[Object] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)
    waiting: list[Object] = field(default_factory=list)


def plan(volume: Object, needed: Iterable[str], attachments: Iterable[Object], nodes: dict[str, Object]) -> Plan:
    """`needed` are the nodes whose pods use the volume, `nodes` those that exist. Pure."""
    result, needed = Plan(), sorted(set(needed))
    held = []
    for attachment in attachments:
        where = attachment["spec"]["nodeName"]
        held.append(where)
        if is_deleting(attachment) or (where in needed and where in nodes):
            continue
        node = nodes.get(where)
        # Without the node there is nobody who could still use the volume.
        (result.waiting if node is not None and _in_use(node, volume) else result.detach).append(attachment)
    shared = is_shared(volume)
    for where in needed:
        if where in held or where not in nodes:
            continue
        if not shared and (held or result.attach):
            result.blocked.append(where)
        else:
            result.attach.append(where)
    return result


def _in_use(node: Object, volume: Object) -> bool:
    if any(t.get("key") == OUT_OF_SERVICE for t in (node.get("spec") or {}).get("taints") or ()):
        return False
    return unique_name(volume) in ((node.get("status") or {}).get("volumesInUse") or ())


class AttachDetach(Controller):
    """Keys are volumes."""

    name = "attachdetach"

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        pods = ctx.informers.informer(resources.PODS)
        claims = ctx.informers.informer(resources.PERSISTENTVOLUMECLAIMS)
        volumes = ctx.informers.informer(resources.PERSISTENTVOLUMES)
        nodes = ctx.informers.informer(resources.NODES)
        attachments = ctx.informers.informer(resources.VOLUMEATTACHMENTS)
        drivers = ctx.informers.informer(resources.CSIDRIVERS)
        pods.add_index("claim", claim_keys)
        attachments.add_index("volume", lambda a: (volume_of(a),))
        attachments.add_index("node", lambda a: (a["spec"]["nodeName"],))
        self.pods, self.claims, self.volumes = pods.lister, claims.lister, volumes.lister
        self.nodes, self.attachments, self.drivers = nodes.lister, attachments.lister, drivers.lister
        self._waiting_since: dict[str, float] = {}
        pods.add_handler(self._on_pod, self._on_pod_change, self._on_pod)
        claims.add_handler(self._on_claim, lambda _, new: self._on_claim(new))
        volumes.add_handler(self.enqueue, lambda _, new: self.enqueue(new))
        attachments.add_handler(self._on_attachment, lambda _, new: self._on_attachment(new), self._on_attachment)
        nodes.add_handler(self._on_node, self._on_node_change, self._on_node)

    def _on_pod(self, pod: Object) -> None:
        for claim in claim_keys(pod):
            if found := self.claims.get(claim):
                self._on_claim(found)

    def _on_pod_change(self, old: Object, new: Object) -> None:
        if _placed(old) != _placed(new):
            self._on_pod(new)

    def _on_claim(self, claim: Object) -> None:
        if volume := claim["spec"].get("volumeName"):
            self.queue.add(volume)

    def _on_attachment(self, attachment: Object) -> None:
        self.queue.add(volume_of(attachment))

    def _on_node(self, node: Object) -> None:
        for attachment in self.attachments.by_index("node", name(node)):
            self._on_attachment(attachment)

    def _on_node_change(self, old: Object, new: Object) -> None:
        if _holds(old) != _holds(new) or (old.get("spec") or {}).get("taints") != (new.get("spec") or {}).get("taints"):
            self._on_node(new)

    async def reconcile(self, key: str) -> None:
        """Make the attachments of one volume those its pods need."""
        volume = self.volumes.get(key)
        present = self.attachments.by_index("volume", key)
        if volume is None:
            for attachment in present:
                await self._detach(attachment)
        if volume is None or not self._is_attachable(volume):
            return
        users = self._users(volume)
        wanted = plan(volume, (p["spec"]["nodeName"] for p in users), present, {name(n): n for n in self.nodes.list()})
        for attachment in wanted.detach + [a for a in wanted.waiting if self._is_overdue(a)]:
            await self._detach(attachment)
        for node in wanted.attach:
            await self._attach(volume, node)
        for pod in users:
            if pod["spec"]["nodeName"] in wanted.blocked:
                message = (
                    f'Multi-Attach error for volume "{key}" Volume is already exclusively attached to one node and '
                    "can't be attached to another"
                )
                self.recorder.event(pod, "Warning", "FailedAttachVolume", message)
        for node in {a["spec"]["nodeName"] for a in present}:
            await self._report(node)

    def _is_attachable(self, volume: Object) -> bool:
        csi = volume["spec"].get("csi")
        driver = self.drivers.get(csi["driver"]) if csi else None
        return csi is not None and (driver is None or driver["spec"].get("attachRequired", True))

    def _users(self, volume: Object) -> list[Object]:
        """The pods on nodes that need the volume."""
        ref = volume["spec"].get("claimRef")
        claim = self.claims.get(f"{ref['namespace']}/{ref['name']}") if ref else None
        if claim is None or claim["spec"].get("volumeName") != name(volume):
            return []
        pods = self.pods.by_index("claim", key(claim))
        return [p for p in pods if p["spec"].get("nodeName") and not is_terminal(p)]

    def _is_overdue(self, attachment: Object) -> bool:
        """Whether a node has kept a volume nobody needs for so long, and is so ill, that it is taken from it."""
        since = self._waiting_since.setdefault(name(attachment), self.clock.now())
        left = FORCE_DETACH_SECONDS - (self.clock.now() - since)
        if left > 0:
            self.queue.add_after(volume_of(attachment), left)
            return False
        node = self.nodes.get(attachment["spec"]["nodeName"])
        ready = get_condition(node, "Ready") if node else None
        return ready is None or ready["status"] != "True"

    async def _attach(self, volume: Object, node: str) -> None:
        csi = volume["spec"]["csi"]
        called = attachment_name(csi["driver"], csi["volumeHandle"], node)
        self._waiting_since.pop(called, None)
        spec = {"attacher": csi["driver"], "nodeName": node, "source": {"persistentVolumeName": name(volume)}}
        try:
            await self.client.create(resources.VOLUMEATTACHMENTS, {"metadata": {"name": called}, "spec": spec})
        except AlreadyExists:
            return
        self.log.info("attaching", volume=name(volume), node=node)

    async def _detach(self, attachment: Object) -> None:
        self._waiting_since.pop(name(attachment), None)
        try:
            await self.client.delete(resources.VOLUMEATTACHMENTS, name(attachment), uid=attachment["metadata"]["uid"])
        except NotFound:
            return
        self.log.info("detaching", volume=volume_of(attachment), node=attachment["spec"]["nodeName"])

    async def _report(self, node_name: str) -> None:
        """List what is attached in the node's status: a kubelet mounts nothing that is not listed there."""
        node = self.nodes.get(node_name)
        if node is None:
            return
        attached = []
        for attachment in self.attachments.by_index("node", node_name):
            volume = self.volumes.get(volume_of(attachment))
            status = attachment.get("status") or {}
            if volume is not None and status.get("attached"):
                path = (status.get("attachmentMetadata") or {}).get("devicePath", "")
                attached.append({"name": unique_name(volume), "devicePath": path})
        attached.sort(key=lambda a: a["name"])
        if attached != ((node.get("status") or {}).get("volumesAttached") or []):
            patch = {"status": {"volumesAttached": attached or None}}
            await self.client.patch(resources.NODES, node_name, patch, subresource="status")


def _placed(pod: Object) -> tuple[str, bool]:
    return (pod.get("spec") or {}).get("nodeName") or "", is_terminal(pod)


def _holds(node: Object) -> tuple[list[str], str]:
    ready = get_condition(node, "Ready") or {}
    return (node.get("status") or {}).get("volumesInUse") or [], ready.get("status", "")
