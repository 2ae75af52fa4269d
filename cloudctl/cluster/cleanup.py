"""Everything a cluster may leave on the machine beside processes, and its removal: containers, mounts, loop devices,
nftables and iptables rules, bridges. Every step works on what is really there, so it can be repeated."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import httpx

from client.command import CommandError, Commands
from cloudctl.cluster import daemons, network
from cloudctl.cluster.preflight import DOCKER_SOCKET
from cloudctl.cluster.state import Cluster

LABEL = "io.cloudlet.cluster"
_STOP_SECONDS = 3
_CLEANUP_SECONDS = 60.0
# The engine serves deletions in parallel, but hundreds at once time out.
_PARALLEL = 16


async def remove_containers(cluster: Cluster, *, node: str = "") -> int:
    """End and remove this cluster's containers (of one node, or of all), the pods' processes with a short grace first.

    Returns how many there were. Does nothing when Docker does not run.
    """
    if not DOCKER_SOCKET.exists():
        return 0
    transport = httpx.AsyncHTTPTransport(uds=str(DOCKER_SOCKET))
    async with httpx.AsyncClient(transport=transport, base_url="http://docker", timeout=60) as engine:
        labels = [f"{LABEL}={cluster.ident}"] + ([f"io.cloudlet.node={node}"] if node else [])
        filters = json.dumps({"label": labels})
        try:
            answer = await engine.get("/containers/json", params={"all": "true", "filters": filters})
        except httpx.ConnectError:
            return 0
        answer.raise_for_status()
        found = answer.json()
        turn = asyncio.Semaphore(_PARALLEL)
        is_sandbox = [c["Labels"].get("io.cloudlet.kind") == "sandbox" for c in found]
        for sandboxes in (False, True):
            chosen = [c["Id"] for c, sandbox in zip(found, is_sandbox, strict=True) if sandbox == sandboxes]
            await asyncio.gather(*(_remove(engine, turn, ident, gently=not sandboxes) for ident in chosen))
    return len(found)


async def _remove(engine: httpx.AsyncClient, turn: asyncio.Semaphore, ident: str, *, gently: bool) -> None:
    async with turn:
        if gently:
            await engine.post(f"/containers/{ident}/stop", params={"t": _STOP_SECONDS})
        answer = await engine.delete(f"/containers/{ident}", params={"force": "true", "v": "true"})
        if answer.status_code not in (204, 404, 409):
            answer.raise_for_status()


async def run_cleanups(cluster: Cluster, commands: Commands) -> list[str]:
    """Let the proxy and the cloud controllers take back what is theirs; returns what they complained of."""
    complaints = []
    for spec, flags in (
        (daemons.cloud(cluster), daemons.cloud_flags(cluster)),
        (daemons.proxy(cluster), daemons.proxy_flags(cluster)),
    ):
        module = spec.argv[2]
        path = spec.env["PYTHONPATH"]
        try:
            await commands.run(
                "env", f"PYTHONPATH={path}", sys.executable, "-m", module, *flags, "--cleanup", timeout=_CLEANUP_SECONDS
            )
        except CommandError as error:
            complaints.append(f"{spec.name} --cleanup: {error.stderr.splitlines()[-1] if error.stderr else error}")
    if await commands.succeeds("nft", "list", "table", "inet", "cloudlet"):
        await commands.run("nft", "delete", "table", "inet", "cloudlet")
    return complaints


def mounts_below(folder: Path, mountinfo: str) -> list[str]:
    """The mount points in or below a folder, innermost first (proc(5), field 5 with its octal escapes)."""
    found = []
    for line in mountinfo.splitlines():
        point = line.split()[4].encode().decode("unicode_escape")
        if Path(point).is_relative_to(folder):
            found.append(point)
    return sorted(found, key=len, reverse=True)


def mounts(cluster: Cluster) -> list[str]:
    """What is mounted in the state folder now, innermost first."""
    return mounts_below(cluster.home, Path("/proc/self/mountinfo").read_text())


async def unmount(cluster: Cluster, commands: Commands) -> None:
    """Unmount everything below the state folder and free the loop devices of its files. Raises CommandError."""
    for point in mounts(cluster):
        if not await commands.succeeds("umount", point):
            await commands.run("umount", "--lazy", point)
    listed = json.loads(await commands.run("losetup", "--json", "--list") or "{}")
    for device in listed.get("loopdevices") or ():
        if Path((device.get("back-file") or "/").removesuffix(" (deleted)")).is_relative_to(cluster.home):
            await commands.run("losetup", "--detach", device["name"])


async def remove_network(commands: Commands) -> None:
    """Remove the bridges and addresses."""
    await network.remove(commands)
