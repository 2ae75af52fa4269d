"""The machine's part of the cluster network: the addresses of the API and of the nodes, on the interface `cloudlet0`.

`cloudlet0` is a bridge without ports, because kernels without the `dummy` driver have bridges. Addresses in it are local to
the machine, so everything on it, containers included, reaches them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from client.command import CommandError, Commands
from cloudctl.cluster.state import API_ADDRESS, Cluster, ClusterError

INTERFACE = "cloudlet0"
_OWNERS = Path("/run/cloudlet")


async def ensure(cluster: Cluster, commands: Commands) -> None:
    """Have the interface with the addresses of the API and of every node. Raises ClusterError."""
    try:
        if not await commands.succeeds("ip", "link", "show", INTERFACE):
            await commands.run("ip", "link", "add", INTERFACE, "type", "bridge")
        await commands.run("ip", "link", "set", INTERFACE, "up")
        present = await addresses(commands)
        for address in [API_ADDRESS, *(cluster.node_address(name) for name in cluster.node_names)]:
            if address not in present:
                await commands.run("ip", "address", "add", f"{address}/32", "dev", INTERFACE)
    except CommandError as error:
        raise ClusterError(f"the interface {INTERFACE} cannot be set up: {error}") from error


async def addresses(commands: Commands) -> set[str]:
    """The addresses that the interface has."""
    shown = json.loads(await commands.run("ip", "-json", "address", "show", "dev", INTERFACE))
    return {entry["local"] for link in shown for entry in link.get("addr_info", ())}


async def remove(commands: Commands) -> None:
    """Remove the pods' bridges, the two bridges of addresses, and the pods' ends that hang on them or on nothing."""
    links = json.loads(await commands.run("ip", "-json", "link", "show"))
    for name in doomed(links):
        await commands.succeeds("ip", "link", "delete", name)


def doomed(links: list[dict[str, Any]]) -> list[str]:
    """The devices to delete, pods' ends first, of all that `ip -json link` shows."""
    names = [str(link.get("ifname", "")) for link in links]
    bridges = [name for name in names if name.startswith("clb-") or name in (INTERFACE, "cloudlet-dns")]
    ends = [
        str(link["ifname"])
        for link in links
        if str(link.get("ifname", "")).startswith("clv") and link.get("master") in (None, *bridges)
    ]
    return ends + bridges


def _owner_file() -> Path:
    """Which cluster the addresses, bridges and nftables table of this network namespace belong to."""
    return _OWNERS / f"owner-{Path('/proc/self/ns/net').stat().st_ino}"


def owner() -> Path | None:
    """The state folder of the cluster with real nodes on this machine, if one is recorded."""
    try:
        return Path(_owner_file().read_text().strip())
    except OSError:
        return None


def claim(cluster: Cluster) -> None:
    """Record that the machine's network is this cluster's."""
    _OWNERS.mkdir(parents=True, exist_ok=True)
    _owner_file().write_text(f"{cluster.home}\n")


def release(cluster: Cluster) -> None:
    """Forget that record."""
    if owner() == cluster.home:
        _owner_file().unlink(missing_ok=True)
