"""Bring the cluster up: only what is missing is started, so it may be called again at any time."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from api import resources
from api.errors import ApiError, NotFound
from api.meta import name as name_of
from client.command import Commands
from client.rest import ApiClient
from cloudctl.cluster import addons, cleanup, daemons, identities, network, preflight, ready
from cloudctl.cluster.processes import Supervision, launch_supervisor
from cloudctl.cluster.state import Cluster, ClusterError, decide
from cloudctl.cluster.steps import Steps
from cloudctl.supervisor.spec import Spec

_DAEMON_SECONDS = 60.0
_READY_SECONDS = 90.0


@dataclass(frozen=True)
class Wishes:
    """The flags of `up`; None stands for "as it is, or the default"."""

    nodes: int | None = None
    fake_nodes: int | None = None
    port: int | None = None


async def up(home: Path, wishes: Wishes, steps: Steps) -> Cluster:
    """Return when the cluster is ready. Raises ClusterError with what is wrong and what to do about it."""
    old = Cluster.load(home)
    decided = decide(old.decisions if old else None, nodes=wishes.nodes, fake_nodes=wishes.fake_nodes, port=wishes.port)
    cluster = Cluster(home, decided)
    supervision = await Supervision.connect(cluster)
    preflight.check(cluster, running=supervision is not None)
    cluster.save()
    with _alone(cluster):
        with steps.step("certificates and kubeconfigs"):
            renewed = identities.ensure(cluster)
        if not cluster.fake:
            with steps.step("addresses of the API and of the nodes"):
                await network.ensure(cluster, Commands())
                network.claim(cluster)
        if supervision is None:
            launch_supervisor(cluster)
            supervision = await Supervision.connect(cluster)
        if supervision is None:
            raise ClusterError(f"the supervisor does not start; see {cluster.logs / 'supervisor.log'}")
        try:
            await _start(cluster, supervision, stale(renewed), steps)
            await _settle(cluster, supervision, steps)
        finally:
            await supervision.close()
    return cluster


@contextlib.contextmanager
def _alone(cluster: Cluster) -> Iterator[None]:
    """Two `up`s of one cluster must not run at once."""
    with (cluster.run / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ClusterError(f"another `cloudctl up` works on {cluster.home} right now") from error
        yield


def stale(renewed: list[str]) -> set[str]:
    """The daemons that hold a certificate which has been made anew."""
    found = set()
    for name in renewed:
        if name == "server":
            found.add("etcd")
        elif name.startswith(("apiserver", "front-proxy")):
            found.add("apiserver")
        else:
            found.add(name.removesuffix(".kubeconfig").replace("fake-nodes", "kubelet-fake"))
    return found


async def _start(cluster: Cluster, supervision: Supervision, renewed: set[str], steps: Steps) -> None:
    """etcd, then the API server, then all the others at once."""
    wanted = daemons.specs(cluster)
    await _retire(cluster, supervision, {spec.name for spec in wanted})
    first, second, *others = wanted
    for spec, title in ((first, "etcd"), (second, "API server")):
        with steps.step(title):
            await _start_one(supervision, spec, renewed)
    with steps.step(", ".join(spec.name for spec in others)):
        await asyncio.gather(*(_start_one(supervision, spec, renewed) for spec in others))


async def _start_one(supervision: Supervision, spec: Spec, renewed: set[str]) -> None:
    await supervision.start(spec, afresh=spec.name in renewed)
    await supervision.wait_ready(spec.name, _DAEMON_SECONDS)


async def _retire(cluster: Cluster, supervision: Supervision, wanted: set[str]) -> None:
    """Stop the daemons that the cluster shall no longer have, and remove the containers of their nodes."""
    for name in [name for name in supervision.states if name not in wanted]:
        await supervision.remove(name, _DAEMON_SECONDS)
        node = name.removeprefix("kubelet-")
        if node != name:
            await cleanup.remove_containers(cluster, node=node)


async def _forget_nodes(client: ApiClient, cluster: Cluster) -> None:
    """Delete the Nodes of an earlier, larger cluster here, so that their pods are replaced at once."""
    for node in (await client.list(resources.NODES))["items"]:
        if name_of(node) not in cluster.node_names:
            with contextlib.suppress(NotFound):
                await client.delete(resources.NODES, name_of(node))


async def _settle(cluster: Cluster, supervision: Supervision, steps: Steps) -> None:
    async with ApiClient.from_kubeconfig(cluster.admin_kubeconfig, "cloudctl") as client:
        try:
            with steps.step("add-ons"):
                await addons.ensure(client, addons.manifests())
                if not cluster.fake:
                    await _forget_nodes(client, cluster)
            with steps.step(f"{cluster.node_count} nodes Ready"):
                await ready.nodes(client, cluster, _READY_SECONDS)
                await ready.service_account(client, _READY_SECONDS)
            if not cluster.fake:
                with steps.step("cluster DNS"):
                    await ready.dns(_READY_SECONDS)
        except ApiError as error:
            raise ClusterError(f"the API server refuses what `up` needs: {error.message}") from error
        except ClusterError as error:
            unwell = [f"{s['name']} is {s['state']}" for s in supervision.states.values() if s["state"] != "ready"]
            more = f" ({', '.join(unwell)})" if unwell else ""
            raise ClusterError(f"{error}{more}; logs are in {cluster.logs}") from error
