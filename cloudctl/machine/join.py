"""`cloudctl join`: this machine becomes a node of a cluster, or one more of its control planes. It may be repeated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from api import resources
from api.errors import NotFound, Unauthorized
from client.cluster_info import ClusterInfo
from client.command import Commands
from client.kubeconfig import Kubeconfig
from client.rest import ApiClient
from cloudctl.cluster.state import ClusterError
from cloudctl.cluster.steps import Steps
from cloudctl.machine import checks, discovery, members, node, objects, settings, tokens
from cloudctl.machine.controlplane import ControlPlane, mark
from cloudctl.machine.init import refuse_member
from cloudctl.machine.layout import ETC, HOME, Machine, program
from cloudctl.machine.settings import ClusterSettings, Role
from cloudctl.machine.stages import Stages
from cloudctl.machine.systemd import Systemd
from cloudctl.machine.tokens import Token


@dataclass(frozen=True)
class Wishes:
    """What was typed: the server as HOST:PORT, the invitation's parts, and this machine's own settings."""

    server: str
    token: Token
    ca_cert_hash: str
    certificate_key: bytes | None
    machine: dict[str, Any]
    ignore: str = ""

    @property
    def role(self) -> Role:
        """A key for the certificates makes it a control plane."""
        return Role.WORKER if self.certificate_key is None else Role.CONTROL_PLANE


async def join(wishes: Wishes, steps: Steps) -> Machine:
    """Return when the node is Ready. Raises ClusterError that says at which stage and why it stopped."""
    refuse_member(HOME, ETC)
    stages, commands = Stages("join", steps), Commands()
    systemd = Systemd(commands)
    with stages.stage("the cluster and its CA", changes=False):
        info = await discovery.discover(f"https://{wishes.server}", wishes.ca_cert_hash)
    bearer = Kubeconfig(servers=list(info.servers), ca=info.ca, token=str(wishes.token))
    async with ApiClient(bearer, "cloudctl") as client:
        with stages.stage("the token and the cluster's settings", changes=False):
            machine = await _machine(client, wishes)
            shared = await _shared(client, wishes)
    if not machine.settings_file.exists():
        if machine.is_control_plane:
            members.refuse_foreign_data(machine)
        await checks.check(machine, stages, wishes.ignore, wishes.server)
    with stages.stage("units and folders"):
        await node.prepare(machine, commands)
        machine.settings.save(machine.settings_file)
        await systemd.install(program("cloudctl").parent)
    known, plane = list(info.servers), ControlPlane(machine, systemd, commands)
    if shared is not None:
        known = await _control_plane(plane, machine, stages, info, shared)
    with stages.stage("kubelet and proxy"):
        node.write_bootstrap(machine, plane.servers(known) if shared else known, info.ca, wishes.token)
        await node.start(machine, systemd)
    with stages.stage("node Ready"):
        async with ApiClient.from_kubeconfig(machine.kubelet_kubeconfig, "cloudctl") as client:
            await node.ready(client, machine.name, lambda: "see `journalctl -u cloudlet-kubelet`")
        if shared is not None:
            async with ApiClient.from_kubeconfig(machine.admin_kubeconfig, "cloudctl") as client:
                await mark(client, machine)
    machine.bootstrap_kubeconfig.unlink(missing_ok=True)
    machine.joined_file.touch()
    return machine


async def _machine(client: ApiClient, wishes: Wishes) -> Machine:
    """Ask the cluster what all its machines agree on, and whether our name is free. Raises ClusterError."""
    try:
        cluster = await objects.cluster_settings(client)
    except Unauthorized as error:
        raise ClusterError(
            "the token is wrong or has expired: `cloudctl token create` on a control plane makes a new one "
            "and prints the whole command"
        ) from error
    decided = _settings(wishes, cluster)
    machine = Machine(decided, HOME, ETC)
    if not machine.settings_file.exists():
        await _refuse_taken_name(client, machine.name)
    elif (begun := settings.load(machine.settings_file)) != decided:
        raise ClusterError(
            f"an earlier init or join on this machine began as node {begun.node_name}, {begun.address}, {begun.role}: "
            "repeat it with the same, or `cloudctl reset` first"
        )
    return machine


def _settings(wishes: Wishes, cluster: ClusterSettings) -> settings.MachineSettings:
    data = {"role": wishes.role, **wishes.machine, "cluster": cluster.model_dump(by_alias=True)}
    return settings.parse(data, "join")


async def _refuse_taken_name(client: ApiClient, name: str) -> None:
    try:
        found = await client.get(resources.NODES, name)
    except NotFound:
        return
    addresses = [a["address"] for a in (found.get("status") or {}).get("addresses") or () if a["type"] == "InternalIP"]
    where = f" ({', '.join(addresses)})" if addresses else ""
    raise ClusterError(
        f"the cluster has a node {name} already{where}: give this machine another name with --node-name, or, if that node "
        f"is gone for good, `cloudctl delete node {name}` first"
    )


async def _shared(client: ApiClient, wishes: Wishes) -> dict[str, bytes] | None:
    return None if wishes.certificate_key is None else await tokens.download(client, wishes.certificate_key)


async def _control_plane(
    plane: ControlPlane, machine: Machine, stages: Stages, info: ClusterInfo, shared: dict[str, bytes]
) -> list[str]:
    """Make it a control plane; returns all API servers."""
    with stages.stage("certificates and kubeconfigs"):
        for name, data in shared.items():
            tokens.put(machine.pki / name, data)
        plane.identity(list(info.servers))
    addresses = [discovery.host(server) for server in info.servers if server != machine.server]
    store = members.etcd(machine, addresses, Commands())
    with stages.stage("etcd"):
        await plane.prepare()
        await plane.etcd(await members.add(machine, store))
        await members.promote(machine, store)
    with stages.stage("API server"):
        await plane.apiserver()
    async with ApiClient.from_kubeconfig(machine.admin_kubeconfig, "cloudctl") as client:
        with stages.stage("controllers, scheduler, cloud"):
            known = await discovery.add_server(client, machine.server, info.ca)
            await plane.daemons()
    return known
