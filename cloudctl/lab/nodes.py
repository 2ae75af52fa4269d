"""The machines of a lab: containers that run systemd and Docker inside, on a network of their own, with fixed addresses."""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import Iterable
from dataclasses import dataclass

from client.backoff import Backoff
from client.command import CommandError, Commands
from cloudctl.cluster.state import ClusterError
from cloudctl.machine.settings import Role

LABEL, ROLE_LABEL = "io.cloudlet.lab", "io.cloudlet.lab.role"
_RANGE = ipaddress.IPv4Network("10.89.0.0/16")
_FIRST = {Role.CONTROL_PLANE: 11, Role.WORKER: 51}
VIRTUAL_IP = 10
"""The last number of the virtual IP."""
POOL = (200, 239)
"""The last numbers of the addresses that load balancers get."""
MOST = {Role.CONTROL_PLANE: 9, Role.WORKER: 100}
_BOOT_SECONDS, _CALL_SECONDS = 60.0, 60.0
# What Docker inside needs, and no more: --privileged would also ask for CAP_SYS_RESOURCE, which a host may not have to give.
_RIGHTS = (
    "--cap-add=ALL", "--cap-drop=SYS_RESOURCE", "--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined",
    "--security-opt=systempaths=unconfined", "--device-cgroup-rule=a *:* rwm", "--cgroupns=private",
)  # fmt: skip
_PLACES = (
    "--tmpfs=/run",
    "--tmpfs=/run/lock",
    "--tmpfs=/tmp:exec",
    "--volume=/var/lib/docker",
    "--volume=/var/lib/cloudlet",
)


@dataclass(frozen=True)
class Node:
    """One machine: its container and host name, what it is, its address."""

    name: str
    role: Role
    address: str


def plan(cluster: str, subnet: ipaddress.IPv4Network, control_planes: int, workers: int) -> list[Node]:
    """The machines of a new cluster. Pure."""
    found = []
    for role, count, word in ((Role.CONTROL_PLANE, control_planes, "control-plane"), (Role.WORKER, workers, "node")):
        for index in range(count):
            found.append(Node(f"{cluster}-{word}-{index + 1}", role, str(subnet[_FIRST[role] + index])))
    return found


def free_subnet(taken: Iterable[str]) -> ipaddress.IPv4Network:
    """The first range for a cluster that no network of Docker overlaps. Pure. Raises ClusterError."""
    networks = [ipaddress.IPv4Network(one) for one in taken]
    for candidate in _RANGE.subnets(new_prefix=24):
        if not any(candidate.overlaps(one) for one in networks):
            return candidate
    raise ClusterError(f"every /24 of {_RANGE} is in use by a network of Docker")


class Lab:
    """The machines of all labs of this host, through its Docker. Methods raise ClusterError."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands

    async def clusters(self) -> dict[str, list[Node]]:
        """Every cluster's machines, stopped ones too."""
        text = await self._docker(
            "ps", "--all", f"--filter=label={LABEL}",
            f'--format={{{{.Names}}}}\t{{{{.Label "{LABEL}"}}}}\t{{{{.Label "{ROLE_LABEL}"}}}}\t{{{{.Label "{LABEL}.address"}}}}',
        )  # fmt: skip
        found: dict[str, list[Node]] = {}
        for line in sorted(text.splitlines()):
            name, cluster, role, address = line.split("\t")
            found.setdefault(cluster, []).append(Node(name, Role(role), address))
        return found

    async def network(self, cluster: str) -> ipaddress.IPv4Network:
        """Make the cluster's network; returns its range."""
        listed = (await self._docker("network", "ls", "--quiet")).split()
        networks = json.loads(await self._docker("network", "inspect", *listed))
        taken = [c["Subnet"] for n in networks for c in n["IPAM"]["Config"] or () if ":" not in c["Subnet"]]
        subnet = free_subnet(taken)
        await self._docker("network", "create", f"--subnet={subnet}", f"--label={LABEL}={cluster}", _network(cluster))
        return subnet

    async def start(self, cluster: str, node: Node, image: str) -> None:
        """Make a machine and boot it."""
        await self._docker(
            "run", "--detach", f"--name={node.name}", f"--hostname={node.name}", f"--network={_network(cluster)}",
            f"--ip={node.address}", "--restart=unless-stopped", "--stop-signal=SIGRTMIN+3", "--env=container=docker",
            f"--label={LABEL}={cluster}", f"--label={ROLE_LABEL}={node.role}", f"--label={LABEL}.address={node.address}",
            *_RIGHTS, *_PLACES, image,
        )  # fmt: skip

    async def booted(self, name: str) -> None:
        """Return when systemd inside has started everything."""
        backoff = Backoff(first=0.1, longest=0.5)
        try:
            async with asyncio.timeout(_BOOT_SECONDS):
                while True:
                    # Until systemd listens on its bus there is nothing that could tell us.
                    try:
                        said = await self.run(name, "systemctl", "is-system-running", "--wait", timeout=_BOOT_SECONDS)
                    except CommandError as error:
                        said = error.stdout
                    if said.strip() in ("running", "degraded"):
                        return
                    await asyncio.sleep(backoff.next())
        except TimeoutError as error:
            raise ClusterError(f"{name} has not booted after {_BOOT_SECONDS:g} s: see `docker logs {name}`") from error

    async def run(self, name: str, *argv: str, stdin: bytes | None = None, timeout: float = _CALL_SECONDS) -> str:
        """Run a program on a machine. Raises CommandError."""
        words = ("docker", "exec", *(("--interactive",) if stdin is not None else ()), name, *argv)
        return await self._commands.run(*words, stdin=stdin, timeout=timeout)

    async def remove(self, cluster: str) -> None:
        """End all machines of a cluster and remove them, their disks and their network."""
        names = [node.name for node in (await self.clusters()).get(cluster, ())]
        if names:
            await self._docker("rm", "--force", "--volumes", *names)
        networks = (await self._docker("network", "ls", "--quiet", f"--filter=label={LABEL}={cluster}")).split()
        if networks:
            await self._docker("network", "rm", *networks)

    async def _docker(self, *argv: str) -> str:
        try:
            return await self._commands.run("docker", *argv, timeout=_CALL_SECONDS)
        except CommandError as error:
            raise ClusterError(f"Docker: {error}") from error


def _network(cluster: str) -> str:
    return f"cloudlet-{cluster}"
