"""`cloudctl init`: the first control plane of a cluster on this machine. It may be repeated until it has come to its end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from client.command import Commands
from client.rest import ApiClient
from cloudctl.cluster import addons
from cloudctl.cluster.state import ClusterError
from cloudctl.cluster.steps import Steps
from cloudctl.machine import checks, discovery, flags, members, node, objects, tokens
from cloudctl.machine.controlplane import ControlPlane, mark
from cloudctl.machine.layout import Machine, program
from cloudctl.machine.stages import Stages
from cloudctl.machine.systemd import Systemd
from cloudctl.machine.tokens import Token
from cloudctl.together import together


@dataclass(frozen=True)
class Invitation:
    """What other machines need in order to join."""

    server: str
    token: Token
    ca_cert_hash: str
    certificate_key: str = ""

    def command(self, *, control_plane: bool = False) -> str:
        """The line to type on the machine that is to join."""
        words = ["cloudctl join", self.server.removeprefix("https://"), f"--token {self.token}"]
        words.append(f"--ca-cert-hash {self.ca_cert_hash}")
        if control_plane:
            words.append(f"--control-plane --certificate-key {self.certificate_key}")
        return " ".join(words)


def refuse_member(home: Path, etc: Path) -> None:
    """Raises ClusterError when this machine has joined a cluster, or made one, already."""
    if (home / "joined").exists():
        name = Machine.here(home, etc).settings.cluster.name
        raise ClusterError(f"this machine is in the cluster «{name}» already: `cloudctl reset` takes it out")


async def init(machine: Machine, steps: Steps, ignore: str = "") -> Invitation:
    """Return when the node is Ready. Raises ClusterError."""
    refuse_member(machine.home, machine.etc)
    stages, commands = Stages("init", steps), Commands()
    systemd = Systemd(commands)
    if not machine.settings_file.exists():
        members.refuse_foreign_data(machine)
        await checks.check(machine, stages, ignore)
    with stages.stage("units and folders"):
        await node.prepare(machine, commands)
        machine.settings.save(machine.settings_file)
        await systemd.install(program("cloudctl").parent)
    plane = ControlPlane(machine, systemd, commands)
    with stages.stage("certificates and kubeconfigs"):
        plane.identity([])
    with stages.stage("etcd"):
        await plane.prepare()
        await plane.etcd(flags.member(machine))
    with stages.stage("API server"):
        await plane.apiserver()
    async with ApiClient.from_kubeconfig(machine.admin_kubeconfig, "cloudctl") as client:
        with stages.stage("controllers, scheduler, cloud, kubelet, proxy"):
            token = await tokens.create(client)
            ca = (machine.pki / "ca.crt").read_bytes()
            node.write_bootstrap(machine, [machine.server], ca, token)
            manifests = [*objects.manifests(machine.settings.cluster), *addons.manifests()]
            await together(
                (
                    plane.daemons(),
                    node.start(machine, systemd),
                    addons.ensure(client, manifests),
                    discovery.add_server(client, machine.server, ca),
                )
            )
        with stages.stage("certificates for further control planes"):
            key = await tokens.upload(client, machine.pki)
        with stages.stage("node Ready"):
            await node.ready(
                client, machine.name, lambda: "it has not registered; see `journalctl -u cloudlet-kubelet`"
            )
            await mark(client, machine)
    machine.bootstrap_kubeconfig.unlink(missing_ok=True)
    machine.joined_file.touch()
    return Invitation(machine.server, token, discovery.ca_hash(ca), key)
