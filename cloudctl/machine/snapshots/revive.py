"""`cloudctl etcd snapshot restore`: a machine becomes the first control plane of the cluster that was saved."""

from __future__ import annotations

import asyncio
import datetime
import shutil
from pathlib import Path
from typing import Any

import yaml

from api import resources
from client import cluster_info
from client.command import Commands
from client.rest import ApiClient
from cloudctl.cluster.state import ClusterError
from cloudctl.cluster.steps import Steps
from cloudctl.machine import checks, discovery, flags, layout, members, node, settings
from cloudctl.machine.init import Invitation, init
from cloudctl.machine.layout import Machine
from cloudctl.machine.settings import MachineSettings, Role
from cloudctl.machine.snapshots import archive, keys
from cloudctl.machine.snapshots.manifest import SnapshotError
from cloudctl.machine.snapshots.restore import restore, verify
from cloudctl.machine.stages import Stages
from cloudctl.machine.systemd import CONTROL_UNITS, Systemd


async def revive(
    path: Path,
    node_name: str,
    address: str,
    steps: Steps,
    now: datetime.datetime,
    *,
    force: bool = False,
    ignore: str = "",
) -> Invitation:
    """Return when the node is Ready and the running store has been compared with the snapshot. Raises ClusterError.

    The cluster's settings come from the snapshot, the machine's name and address are its own. `ignore` is init's
    `--ignore-preflight-errors`.
    """
    stages, commands = Stages("restore", steps), Commands()
    saved = (await asyncio.to_thread(archive.member, path, keys.SETTINGS)).decode()
    machine = Machine(machine_settings(saved, node_name, address))
    if not machine.settings_file.exists():
        await checks.check(machine, stages, ignore)
    with stages.stage(f"store and keys from {path.name}", changes=False):
        restored = await restore(
            path,
            machine.home,
            name=machine.name,
            peer_url=flags.peer_url(address),
            now=now,
            force=force,
            commands=commands,
        )
    if restored.aside is not None:
        steps.say(f"  what was here before stands in {restored.aside}")
    with stages.stage("this machine's settings"):
        # Whatever still runs of the old control plane has its certificates and its caches.
        await Systemd(commands).stop(*(daemon for daemon in CONTROL_UNITS if daemon != "etcd"))
        await node.prepare(machine, commands)
        await asyncio.to_thread(_settle, machine)
    try:
        invitation = await init(machine, steps)
    except ClusterError as error:
        again = f"cloudctl init --config {machine.settings_file}"
        raise SnapshotError(f"{error}\nThe restored data is in place: mend this, then `{again}`") from error
    with stages.stage("restored data compared with the snapshot"):
        lines = await verify(members.etcd(machine, ["127.0.0.1"], commands), restored)
        await _forget_servers(machine)
    for line in lines:
        steps.say(f"  {line}")
    return invitation


def machine_settings(text: str, node_name: str, address: str) -> MachineSettings:
    """The machine.yaml of a snapshot, empty if it has none, under this machine's name and address.

    Labels were the saved machine's and stay only if this is the same one. Raises ClusterError.
    """
    saved: dict[str, Any] = yaml.safe_load(text) or {}
    if saved.get("nodeName") != node_name:
        saved.pop("nodeLabels", None)
    own = {"nodeName": node_name, "address": address, "interface": layout.interface_of(address)}
    return settings.parse({**saved, **own, "role": Role.CONTROL_PLANE}, "the snapshot's machine.yaml")


def _settle(machine: Machine) -> None:
    """Have `init` take this machine for one on which it began and did not end, with data that is etcd's to write."""
    machine.joined_file.unlink(missing_ok=True)
    machine.settings.save(machine.settings_file)
    for path in (machine.etcd_data, *machine.etcd_data.rglob("*")):
        shutil.chown(path, node.USER, node.USER)


async def _forget_servers(machine: Machine) -> None:
    """Take the API servers that were lost out of the list that clients are given."""
    async with ApiClient.from_kubeconfig(machine.admin_kubeconfig, "cloudctl") as client:
        info = discovery.parse(await client.get(resources.CONFIGMAPS, cluster_info.NAME, cluster_info.NAMESPACE))
        for server in info.servers:
            if server != machine.server:
                await discovery.remove_server(client, server)
