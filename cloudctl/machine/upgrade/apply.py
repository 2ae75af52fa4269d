"""Changing this machine to a release: programs beside the old ones, then its daemons one after another.

Containers go on. The old programs stay in their folder, so that `cloudctl upgrade restart` from there goes back.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from api import resources
from api.meta import labels
from client.command import Commands
from client.rest import ApiClient
from cloudctl.cluster.state import ClusterError
from cloudctl.cluster.steps import Steps
from cloudctl.machine import flags, node
from cloudctl.machine.controlplane import ControlPlane, mark
from cloudctl.machine.layout import Machine, program
from cloudctl.machine.stages import Stages
from cloudctl.machine.systemd import Systemd
from cloudctl.machine.upgrade.release import Member, Release, Version, refusal

_INSTALL_SECONDS, _RESTART_SECONDS = 300.0, 300.0
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


async def upgrade(machine: Machine, release: Release, steps: Steps) -> None:
    """Return when this machine's daemons serve with the new programs. Raises ClusterError."""
    stages, commands = Stages("upgrade", steps), Commands()
    with stages.stage("what may follow what", changes=False):
        async with ApiClient.from_kubeconfig(kubeconfig(machine), "cloudctl") as client:
            if why := refusal(await members(client), machine.name, release.version):
                raise ClusterError(why)
    with stages.stage(f"programs of {release.version}", changes=False):
        folder = await _install(release, commands)
    with stages.stage(f"daemons of {release.version}"):
        # By the new programs, because they know the flags of their daemons.
        await commands.run(str(folder / "bin" / "cloudctl"), "upgrade", "restart", timeout=_RESTART_SECONDS)


async def _install(release: Release, commands: Commands) -> Path:
    """A copy of the present programs with the wheel in the place of the old one; returns its folder."""
    present, folder = Path(sys.prefix), Path(sys.prefix).parent / f"cloudlet-{release.version}"
    if folder == present:
        return folder
    node.forget(folder)
    try:
        shutil.copytree(present, folder, symlinks=True)
        await commands.run(
            str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            f"--find-links={release.path.parent}", str(release.path), timeout=_INSTALL_SECONDS,
        )  # fmt: skip
    except BaseException:
        node.forget(folder)
        raise
    return folder


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
    _link(program("cloudctl"))
    with stages.stage("node Ready"):
        async with ApiClient.from_kubeconfig(kubeconfig(machine), "cloudctl") as client:
            await node.ready(client, machine.name, lambda: "see `journalctl -u cloudlet-kubelet`")
            if machine.is_control_plane:
                await mark(client, machine)


def _link(target: Path) -> None:
    partial = _LINK.with_name(".cloudctl.new")
    partial.unlink(missing_ok=True)
    partial.symlink_to(target)
    partial.replace(_LINK)
