"""Changing this machine to a release: programs beside the old ones, then its daemons one after another.

Containers go on. The old programs stay in their folder, so that `cloudctl upgrade restart` from there goes back; those before
them are removed. The link to `cloudctl` is moved last, so it tells whether an upgrade came to its end.
"""

from __future__ import annotations

import sys
from pathlib import Path

from api import resources
from api.meta import labels
from api.version import GIT_VERSION
from client.command import CommandError, Commands
from client.rest import ApiClient
from cloudctl.cluster import addons
from cloudctl.cluster.state import ClusterError
from cloudctl.cluster.steps import Steps
from cloudctl.machine import flags, node, objects
from cloudctl.machine.controlplane import ControlPlane, mark
from cloudctl.machine.layout import Machine, program
from cloudctl.machine.stages import Stages
from cloudctl.machine.systemd import Systemd
from cloudctl.machine.upgrade import programs
from cloudctl.machine.upgrade.release import Member, Release, Version, refusal

_RESTART_SECONDS = 300.0
_LINK = Path("/usr/local/bin/cloudctl")


async def members(client: ApiClient) -> list[Member]:
    """Every node of the cluster with its version."""
    found = []
    for one in (await client.list(resources.NODES))["items"]:
        version = Version.parse(one["status"]["nodeInfo"]["kubeletVersion"])
        found.append(Member(one["metadata"]["name"], flags.CONTROL_PLANE_LABEL in labels(one), version))
    return found


def kubeconfig(machine: Machine) -> Path:
    """By which the cluster is asked."""
    return machine.admin_kubeconfig if machine.is_control_plane else machine.kubelet_kubeconfig


async def upgrade(machine: Machine, release: Release, steps: Steps) -> bool:
    """Return when this machine's daemons serve with the new programs; False when they did before. Raises ClusterError."""
    stages, commands, present = Stages("upgrade", steps), Commands(), Path(sys.prefix)
    with stages.stage("what may follow what", changes=False):
        async with ApiClient.from_kubeconfig(kubeconfig(machine), "cloudctl") as client:
            if why := refusal(await members(client), machine.name, release.version):
                raise ClusterError(why)
    if _linked(programs.folder(present, release)):
        return False
    with stages.stage(f"programs of {release.version}", changes=False):
        folder = await programs.install(present, release, commands)
    with stages.stage(f"daemons of {release.version}"):
        try:
            await _restart(folder, commands)
        except ClusterError:
            programs.distrust(folder)
            raise
    programs.forget_others(folder, present)
    return True


async def _restart(folder: Path, commands: Commands) -> None:
    """Have the new programs do it, because they know the flags of their daemons. Raises ClusterError."""
    try:
        await commands.run(str(folder / "bin" / "cloudctl"), "upgrade", "restart", timeout=_RESTART_SECONDS)
    except CommandError as error:
        # It has said its steps, and last what was wrong.
        raise ClusterError(error.stderr.rpartition("error: ")[2] or str(error)) from error


async def restart(machine: Machine, steps: Steps) -> None:
    """Start the daemons of this machine anew, with the programs and the flags of the release that runs us."""
    stages, commands = Stages("restart", steps), Commands()
    systemd = Systemd(commands)
    with stages.stage("units"):
        await systemd.install(program("cloudctl").parent)
    if machine.is_control_plane:
        with stages.stage("API server, controllers, scheduler, cloud"):
            await ControlPlane(machine, systemd, commands).restart()
    with stages.stage("kubelet and proxy"):
        for daemon, chosen in flags.node(machine).items():
            flags.write(machine, daemon, chosen)
        await systemd.restart("kubelet", "proxy")
    with stages.stage("node Ready" + (", add-ons" if machine.is_control_plane else "")):
        async with ApiClient.from_kubeconfig(kubeconfig(machine), "cloudctl") as client:
            await node.ready(client, machine.name, lambda: "see `journalctl -u cloudlet-kubelet`", version=GIT_VERSION)
            if machine.is_control_plane:
                await mark(client, machine)
                await addons.ensure(client, [*objects.manifests(machine.settings.cluster), *addons.manifests()])
    _link(program("cloudctl"))


def _linked(folder: Path) -> bool:
    """Whether the last upgrade that came to its end was to these programs."""
    return _LINK.resolve().is_relative_to(folder)


def _link(target: Path) -> None:
    partial = _LINK.with_name(".cloudctl.new")
    partial.unlink(missing_ok=True)
    partial.symlink_to(target)
    partial.replace(_LINK)
