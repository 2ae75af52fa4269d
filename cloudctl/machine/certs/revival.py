"""`cloudctl certs revive`: machines whose certificates have ended are part of their cluster again. Pods' containers go on.

A control plane has the authorities' keys and helps itself; a worker needs a token, as when it joined.
"""

from __future__ import annotations

import asyncio
import datetime
from dataclasses import dataclass

from api import resources
from api.errors import ApiError, Unauthorized
from client import kubeconfig
from client.backoff import Backoff
from client.command import Commands
from client.kubeconfig import Kubeconfig, KubeconfigError
from client.rest import ApiClient
from cloudctl.cluster.pairs import PUBLIC, replace
from cloudctl.cluster.state import ClusterError
from cloudctl.cluster.steps import Steps
from cloudctl.machine import certificates, discovery, node, objects, tokens
from cloudctl.machine.certs import renewal
from cloudctl.machine.certs.places import save, with_authority
from cloudctl.machine.controlplane import ControlPlane
from cloudctl.machine.layout import Machine
from cloudctl.machine.stages import Stages
from cloudctl.machine.systemd import Systemd
from cloudctl.machine.tokens import Token

_SERVING_SECONDS = 60.0


@dataclass(frozen=True)
class Revived:
    """What was made anew on a control plane, and what workers need."""

    made: list[str]
    server: str
    token: Token
    ca_cert_hash: str

    def command(self) -> str:
        """The line to type on each worker whose certificate has ended, too."""
        server = self.server.removeprefix("https://")
        return f"cloudctl certs revive {server} --token {self.token} --ca-cert-hash {self.ca_cert_hash}"


async def revive(machine: Machine, steps: Steps, now: datetime.datetime) -> Revived:
    """A control plane, from its files alone. Raises ClusterError, also while too few of its fellows are revived."""
    stages, commands = Stages("certs revive", steps), Commands()
    plane = ControlPlane(machine, Systemd(commands), commands)
    with stages.stage("authorities"):
        prolonged = renewal.prolong(machine, now)
    with stages.stage("certificates and kubeconfigs"):
        made = prolonged + renewal.renew(machine, now)
        bundle = certificates.load_authority(machine, certificates.CA).bundle
        if certificates.CA in prolonged:
            path = machine.kubelet_kubeconfig
            save(path, with_authority(kubeconfig.read(path), bundle))
    if certificates.ETCD_CA in prolonged:
        with stages.stage("etcd, which reads its authority when it starts"):
            await plane.restart_store()
    async with ApiClient.from_kubeconfig(machine.admin_kubeconfig, "cloudctl") as client:
        with stages.stage("API server"):
            await serving(client)
        with stages.stage("what workers need"):
            await discovery.set_ca(client, bundle)
            token = await tokens.create(client)
        with stages.stage("node Ready"):
            await node.ready(client, machine.name, lambda: "see `journalctl -u cloudlet-kubelet`")
    return Revived(made, machine.server, token, discovery.ca_hash(bundle))


async def serving(client: ApiClient) -> None:
    """Return when the store answers through an API server. Raises ClusterError when it does not in time."""
    backoff, said = Backoff(first=0.2), ""
    try:
        async with asyncio.timeout(_SERVING_SECONDS):
            while True:
                try:
                    await client.get(resources.NAMESPACES, "kube-system")
                except ApiError as error:
                    said = error.message
                    await asyncio.sleep(backoff.next())
                else:
                    return
    except TimeoutError as error:
        raise ClusterError(
            f"after {_SERVING_SECONDS:g} s: {said}. If this cluster has other control planes, their etcd members are needed: "
            "`cloudctl certs revive` there too"
        ) from error


async def rejoin(machine: Machine, server: str, token: Token, pin: str, steps: Steps) -> bool:
    """A worker, with a token; False when its certificate is as good as ever. Raises ClusterError."""
    stages = Stages("certs revive", steps)
    with stages.stage("the cluster and its CA", changes=False):
        info = await discovery.discover(server, pin)
    bearer = Kubeconfig(servers=list(info.servers), ca=info.ca, token=str(token))
    async with ApiClient(bearer, "cloudctl") as client:
        with stages.stage("the token", changes=False):
            await _check(client)
    if await _is_known(machine):
        return False
    with stages.stage("kubelet"):
        node.write_bootstrap(machine, list(info.servers), info.ca, token)
        replace({machine.pki / "ca.crt": (info.ca, PUBLIC)})
        # The kubelet begins anew only where it has no certificate of use; its containers go on.
        machine.kubelet_pair("client").unlink(missing_ok=True)
        await Systemd(Commands()).restart("kubelet")
    with stages.stage("node Ready"):
        async with ApiClient.from_kubeconfig(machine.kubelet_kubeconfig, "cloudctl") as client:
            await node.ready(client, machine.name, lambda: "see `journalctl -u cloudlet-kubelet`")
    machine.bootstrap_kubeconfig.unlink(missing_ok=True)
    return True


async def _check(client: ApiClient) -> None:
    try:
        await objects.cluster_settings(client)
    except Unauthorized as error:
        raise ClusterError(
            "the token is wrong or has expired: `cloudctl token create` on a control plane makes one"
        ) from error


async def _is_known(machine: Machine) -> bool:
    """Whether the API server knows this machine's kubelet by the certificate that it has."""
    try:
        async with ApiClient.from_kubeconfig(machine.kubelet_kubeconfig, "cloudctl") as client:
            await client.get(resources.NODES, machine.name)
    except (ApiError, KubeconfigError):
        return False
    return True
