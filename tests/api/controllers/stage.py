"""Stand-ins for scheduler and kubelets: nodes that report, pods that are bound, run, end and go. Tests steer it by annotations.

On a pod: `stage/hold` keeps it Pending; `stage/exit` ends it with that exit code; `stage/unready` keeps it from being Ready;
`stage/linger` keeps a deleted pod until the annotation goes. On a node: `stage/silent` stops its heartbeats.
"""

import asyncio
import contextlib
import sys
from itertools import count

from api import meta, resources, timestamp
from api.errors import AlreadyExists, ApiError, Conflict, NotFound
from api.types import Object
from client.controller import Context, Controller
from client.events import EventRecorder
from client.informer import InformerFactory
from client.rest import ApiClient
from controllers.daemonset.placement import affine
from controllers.nodes.taints import taints_of, untolerated

HEARTBEAT_SECONDS = 0.5
CAPACITY = {"cpu": "8", "memory": "16Gi", "pods": "110"}
_addresses = count(2)


def condition(kind: str, good: bool) -> Object:
    return {"type": kind, "status": "True" if good else "False", "lastTransitionTime": timestamp.now()}


class Stage(Controller):
    """Keys are pods."""

    name = "stage"
    workers = 8

    def __init__(self, ctx: Context, nodes: list[str]) -> None:
        super().__init__(ctx)
        self.names = nodes
        self.turn = count()
        pods = ctx.informers.informer(resources.PODS)
        self.pods = pods.lister
        self.nodes = ctx.informers.informer(resources.NODES).lister
        pods.add_handler(self.enqueue, lambda _, new: self.enqueue(new))

    async def reconcile(self, key: str) -> None:
        pod = self.pods.get(key)
        if pod is None:
            return
        said = meta.annotations(pod)
        status = pod.get("status") or {}
        phase = status.get("phase", "Pending")
        try:
            if meta.is_deleting(pod):
                if "stage/linger" not in said:
                    await self.client.delete(
                        resources.PODS, meta.name(pod), meta.namespace(pod), grace_period_seconds=0, uid=meta.uid(pod)
                    )
            elif not pod["spec"].get("nodeName"):
                if "stage/hold" not in said:
                    await self.bind(pod)
            elif "stage/exit" in said and phase in ("Pending", "Running"):
                await self.write(pod, self.ended(pod, int(said["stage/exit"])))
            elif phase == "Pending" or (phase == "Running" and self.is_ready(pod) == ("stage/unready" in said)):
                await self.write(pod, self.running(pod, "stage/unready" not in said))
        except (NotFound, Conflict, AlreadyExists):
            return

    @staticmethod
    def is_ready(pod: Object) -> bool:
        found = meta.get_condition(pod, "Ready")
        return found is not None and found["status"] == "True"

    async def bind(self, pod: Object) -> None:
        fitting = [
            node
            for name in self.names
            if (node := self.nodes.get(name)) is not None
            and affine(pod["spec"], node)
            and not untolerated(
                [t for t in taints_of(node) if t["effect"] != "PreferNoSchedule"], pod["spec"].get("tolerations") or ()
            )
        ]
        if not fitting:
            self.queue.add_after(meta.key(pod), 0.2)
            return
        node = fitting[next(self.turn) % len(fitting)]
        binding = {"kind": "Binding", "metadata": {"name": meta.name(pod)}, "target": {"name": meta.name(node)}}
        await self.client.create(
            resources.PODS, binding, meta.namespace(pod), name=meta.name(pod), subresource="binding"
        )

    async def write(self, pod: Object, status: Object) -> None:
        await self.client.update(resources.PODS, {**pod, "status": status}, subresource="status")

    def running(self, pod: Object, ready: bool) -> Object:
        present = pod.get("status") or {}
        address = present.get("podIP") or f"10.244.{next(_addresses) // 250}.{next(_addresses) % 250 + 2}"
        states = [
            {
                "name": c["name"],
                "image": c["image"],
                "imageID": "",
                "ready": ready,
                "restartCount": 0,
                "state": {"running": {"startedAt": timestamp.now()}},
            }
            for c in pod["spec"]["containers"]
        ]
        return {
            **present,
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "containerStatuses": states,
            "conditions": self.conditions(pod, ready),
        }

    @staticmethod
    def conditions(pod: Object, ready: bool) -> list[Object]:
        kept = [
            c
            for c in (pod.get("status") or {}).get("conditions") or ()
            if c["type"] not in ("Ready", "ContainersReady")
        ]
        return [*kept, condition("Ready", ready), condition("ContainersReady", ready)]

    def ended(self, pod: Object, code: int) -> Object:
        states = [
            {
                "name": c["name"],
                "image": c["image"],
                "imageID": "",
                "ready": False,
                "restartCount": 0,
                "state": {
                    "terminated": {"exitCode": code, "finishedAt": timestamp.now(), "startedAt": timestamp.now()}
                },
            }
            for c in pod["spec"]["containers"]
        ]
        return {
            **(pod.get("status") or {}),
            "phase": "Failed" if code else "Succeeded",
            "containerStatuses": states,
            "conditions": self.conditions(pod, False),
        }

    async def heartbeats(self) -> None:
        """Register the nodes and renew their Leases."""
        for name in self.names:
            labels = {"kubernetes.io/hostname": name}
            with contextlib.suppress(AlreadyExists):
                await self.client.create(resources.NODES, {"metadata": {"name": name, "labels": labels}})
        while True:
            for name in self.names:
                node = self.nodes.get(name)
                if node is None or "stage/silent" in meta.annotations(node):
                    continue
                try:
                    await self.beat(node)
                except ApiError as error:
                    self.log.warning("no heartbeat", node=name, error=error.message)  # the next one will do
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def beat(self, node: Object) -> None:
        name = meta.name(node)
        lease = {
            "metadata": {"name": name, "namespace": "kube-node-lease"},
            "spec": {"holderIdentity": name, "renewTime": timestamp.now_micro(), "leaseDurationSeconds": 4},
        }
        try:
            present = await self.client.get(resources.LEASES, name, "kube-node-lease")
            await self.client.update(resources.LEASES, {**present, "spec": lease["spec"]})
        except NotFound:
            await self.client.create(resources.LEASES, lease)
        ready = meta.get_condition(node, "Ready")
        if ready is None or ready["status"] != "True":
            fresh = {**condition("Ready", True), "lastHeartbeatTime": timestamp.now(), "reason": "KubeletReady"}
            others = [c for c in (node.get("status") or {}).get("conditions") or () if c["type"] != "Ready"]
            status = {
                **(node.get("status") or {}),
                "capacity": CAPACITY,
                "allocatable": CAPACITY,
                "conditions": [*others, fresh],
            }
            await self.client.update(resources.NODES, {**node, "status": status}, subresource="status")


async def main(kubeconfig: str, nodes: list[str]) -> None:
    async with ApiClient.from_kubeconfig(kubeconfig, "stage") as client:
        context = Context(client, InformerFactory(client), EventRecorder(client, "stage"))
        stage = Stage(context, nodes)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(context.informers.run())
            await context.informers.wait_synced()
            tasks.create_task(stage.run())
            tasks.create_task(stage.heartbeats())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
