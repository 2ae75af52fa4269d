"""Everything a cluster may leave on the machine beside processes, and its removal: containers, mounts, loop devices,
nftables and iptables rules, bridges. Every step works on what is really there, so it can be repeated."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from client.command import CommandError, Commands
from cloudctl.cluster import daemons, network
from cloudctl.cluster.state import Cluster
from cloudctl.machine.preflight.probe import DOCKER_SOCKET
from cloudctl.supervisor.spec import Spec

LABEL = "io.cloudlet.cluster"
_STOP_SECONDS = 3
_CLEANUP_SECONDS = 60.0
_HELPER_SECONDS = 5.0
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
        try:
            found = [c for mark in cluster.container_marks(node) for c in await _marked(engine, mark)]
        except httpx.ConnectError:
            return 0
        turn = asyncio.Semaphore(_PARALLEL)
        for kind in ("container", "sandbox"):
            chosen = [c["Id"] for c in found if c["Labels"].get("io.cloudlet.kind", "container") == kind]
            await asyncio.gather(*(_remove(engine, turn, ident, gently=kind == "container") for ident in chosen))
    return len(found)


async def _marked(engine: httpx.AsyncClient, mark: str) -> list[dict[str, Any]]:
    filters = json.dumps({"label": [f"{LABEL}={mark}"]})
    answer = await engine.get("/containers/json", params={"all": "true", "filters": filters})
    answer.raise_for_status()
    found: list[dict[str, Any]] = answer.json()
    return found


async def _remove(engine: httpx.AsyncClient, turn: asyncio.Semaphore, ident: str, *, gently: bool) -> None:
    async with turn:
        if gently:
            await engine.post(f"/containers/{ident}/stop", params={"t": _STOP_SECONDS})
        answer = await engine.delete(f"/containers/{ident}", params={"force": "true", "v": "true"})
        if answer.status_code not in (204, 404, 409):
            answer.raise_for_status()


async def end_load_balancers(cluster: Cluster) -> None:
    """End their processes; the addresses go with the network, and the next start makes both anew."""
    await asyncio.to_thread(end_helpers, cluster.home / "cloud")


async def release_network(cluster: Cluster, commands: Commands) -> list[str]:
    """Take back rules, routes, bridges and addresses; returns complaints. Raises CommandError."""
    complaints = await _clean_up(daemons.proxy(cluster), daemons.proxy_flags(cluster), commands)
    if await commands.succeeds("nft", "list", "table", "inet", "cloudlet"):
        await commands.run("nft", "delete", "table", "inet", "cloudlet")
    await network.remove(commands)
    network.release(cluster)
    return complaints


async def _clean_up(spec: Spec, flags: tuple[str, ...], commands: Commands) -> list[str]:
    """Run a daemon with `--cleanup`."""
    argv = ("env", f"PYTHONPATH={spec.env['PYTHONPATH']}", sys.executable, "-m", spec.argv[2], *flags, "--cleanup")
    try:
        await commands.run(*argv, timeout=_CLEANUP_SECONDS)
    except CommandError as error:
        return [f"{spec.name} --cleanup: {error.stderr.splitlines()[-1] if error.stderr else error}"]
    return []


def end_helpers(folder: Path) -> None:
    """End the programs that were started with a file of this folder, such as HAProxy with its configuration."""
    found = [os.pidfd_open(pid) for pid in helpers(folder)]
    for number, patience in ((signal.SIGTERM, _HELPER_SECONDS), (signal.SIGKILL, _HELPER_SECONDS)):
        deadline = time.monotonic() + patience
        for pidfd in found:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, number)
        found = [pidfd for pidfd in found if not _ends(pidfd, max(0.0, deadline - time.monotonic()))]


def _ends(pidfd: int, timeout: float) -> bool:
    """Whether the process ends in time; a pidfd becomes readable when it does."""
    if not select.select([pidfd], [], [], timeout)[0]:
        return False
    os.close(pidfd)
    return True


def helpers(folder: Path, proc: Path = Path("/proc")) -> list[int]:
    """The processes whose arguments name something in the folder."""
    found = []
    for entry in proc.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if any(word.startswith(os.fsencode(folder) + b"/") for word in words):
            found.append(int(entry.name))
    return found


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
