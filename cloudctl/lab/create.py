"""`cloudctl create cluster`: machines booted, the first made a cluster, the others joined, and the user's kubeconfig told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from client.command import CommandError, Commands
from cloudctl.cluster.state import ClusterError
from cloudctl.cluster.steps import Steps
from cloudctl.lab import image, kubeconfigs, nodes
from cloudctl.lab.image import NodeImage
from cloudctl.lab.nodes import Lab, Node
from cloudctl.machine.preflight.probe import DOCKER_SOCKET
from cloudctl.machine.settings import Role
from cloudctl.together import together

_INIT_SECONDS, _LOAD_SECONDS = 240.0, 300.0
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?")


@dataclass(frozen=True)
class Wishes:
    """The flags. `settings` is what every machine gets beside its name and address, as in `init --config`."""

    name: str = "cloudlet"
    control_planes: int = 1
    workers: int = 1
    settings: str = ""
    virtual_ip: bool = False
    keep: bool = False


def check(wishes: Wishes) -> None:
    """Raises ClusterError for what cannot be."""
    problems = []
    if not _NAME.fullmatch(wishes.name):
        problems.append(f"--name {wishes.name}: use lower-case letters, digits and '-', at most 32")
    for flag, count, role in (
        ("--control-planes", wishes.control_planes, Role.CONTROL_PLANE),
        ("--nodes", wishes.workers, Role.WORKER),
    ):
        least, most = int(role is Role.CONTROL_PLANE), nodes.MOST[role]
        if not least <= count <= most:
            problems.append(f"{flag} {count}: must be at least {least} and at most {most}")
    if not DOCKER_SOCKET.exists():
        problems.append(f"Docker is not running ({DOCKER_SOCKET} is not there)")
    if problems:
        raise ClusterError("\n".join(problems))


async def create(wishes: Wishes, steps: Steps) -> Path:
    """Return when every node is Ready: the path of the kubeconfig that knows the cluster now. Raises ClusterError."""
    check(wishes)
    commands = Commands()
    lab = Lab(commands)
    if wishes.name in await lab.clusters():
        raise ClusterError(f"there is a cluster {wishes.name} already: `cloudctl delete cluster --name {wishes.name}`")
    name = await NodeImage(commands, steps).ensure()
    await image.prune(commands, name)
    try:
        return await _create(lab, wishes, name, steps)
    except BaseException:
        if not wishes.keep:
            await asyncio.shield(lab.remove(wishes.name))
        raise


async def _create(lab: Lab, wishes: Wishes, name: str, steps: Steps) -> Path:
    subnet = await lab.network(wishes.name)
    machines = nodes.plan(wishes.name, subnet, wishes.control_planes, wishes.workers)
    first, *others = machines
    with steps.step(f"{len(machines)} machines booted"):
        await together(lab.start(wishes.name, machine, name) for machine in machines)
        await lab.booted(first.name)
    with steps.step(f"{first.name}: cloudctl init"):
        cluster = {"name": wishes.name, "loadBalancerPool": f"{subnet[nodes.POOL[0]]}-{subnet[nodes.POOL[1]]}"}
        if wishes.virtual_ip:
            cluster["virtualIp"] = str(subnet[nodes.VIRTUAL_IP])
        invitation = await _init(lab, wishes, first, cluster)
    if others:
        with steps.step(f"{len(others)} machines: cloudctl join"):
            await together(_join(lab, machine, invitation) for machine in others)
    text = await lab.run(first.name, "cat", "/var/lib/cloudlet/admin.kubeconfig")
    return kubeconfigs.merge(text, wishes.name)


async def _init(lab: Lab, wishes: Wishes, first: Node, cluster: dict[str, str]) -> dict[str, str]:
    settings: dict[str, Any] = yaml.safe_load(wishes.settings) if wishes.settings else {}
    settings = {"schedulable": wishes.workers == 0, **settings}
    settings["cluster"] = {**cluster, **(settings.get("cluster") or {})}
    await lab.run(first.name, "mkdir", "-p", "/etc/cloudlet")
    await lab.run(first.name, "tee", "/etc/cloudlet/init.yaml", stdin=yaml.safe_dump(settings).encode())
    words = ("cloudctl", "init", "--config", "/etc/cloudlet/init.yaml", "--output", "json")
    answer: dict[str, str] = json.loads(await _type(lab, first, *words))
    return answer


async def _join(lab: Lab, machine: Node, invitation: dict[str, str]) -> None:
    await lab.booted(machine.name)
    line = invitation["joinControlPlane" if machine.role is Role.CONTROL_PLANE else "join"]
    await _type(lab, machine, *line.split())


async def _type(lab: Lab, machine: Node, *words: str) -> str:
    """Type a command on a machine. Raises ClusterError with what it complained of."""
    try:
        return await lab.run(machine.name, *words, timeout=_INIT_SECONDS)
    except CommandError as error:
        raise ClusterError(f"{machine.name}: {error.stderr or error}") from error


async def delete(name: str, steps: Steps) -> None:
    """Remove a cluster's machines, network and entry in the kubeconfig. Raises ClusterError."""
    lab = Lab(Commands())
    if name not in await lab.clusters():
        raise ClusterError(f"there is no cluster {name}; `cloudctl get clusters` lists them")
    with steps.step(f"cluster {name} deleted"):
        await lab.remove(name)
        kubeconfigs.forget(name)


async def load(name: str, images: list[str], steps: Steps) -> None:
    """Bring images of this host's Docker into every machine of a cluster. Raises ClusterError."""
    commands = Commands()
    lab = Lab(commands)
    machines = (await lab.clusters()).get(name)
    if not machines:
        raise ClusterError(f"there is no cluster {name}; `cloudctl get clusters` lists them")
    for one in images:
        if not await commands.succeeds("docker", "image", "inspect", one):
            raise ClusterError(f"Docker has no image {one}")
    with steps.step(f"{', '.join(images)} in {len(machines)} machines"):
        await together(_load(machine, images) for machine in machines)


async def _load(machine: Node, images: list[str]) -> None:
    """From one Docker into another through a pipe, so that no disk holds the images twice."""
    source, sink = os.pipe()
    try:
        save = await asyncio.create_subprocess_exec("docker", "save", *images, stdout=sink)
        os.close(sink)
        fill = await asyncio.create_subprocess_exec(
            "docker", "exec", "--interactive", machine.name, "docker", "load", "--quiet",
            stdin=source, stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
    finally:
        os.close(source)
    try:
        async with asyncio.timeout(_LOAD_SECONDS):
            codes = await asyncio.gather(save.wait(), fill.wait())
    except TimeoutError as error:
        for process in (save, fill):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        raise ClusterError(f"{machine.name}: images are not loaded after {_LOAD_SECONDS:g} s") from error
    if any(codes):
        raise ClusterError(f"{machine.name}: its Docker does not take the images; see above")
