"""Where the lab of a run comes from: real machines of an inventory, a lab that is there, or one that is made and deleted."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from client import kubeconfig
from client.command import CommandError, Commands
from client.kubeconfig import Kubeconfig
from cloudctl.lab.nodes import Lab as Containers
from tests import images
from tests.lab import inventory
from tests.lab.cluster import HOME, Lab
from tests.lab.machines import DockerMachine, Machine

INVENTORY, EXISTING = "CLOUDLET_LAB_INVENTORY", "CLOUDLET_LAB"
"""A file of machines; or the name of a cluster that `cloudctl create cluster` made. Without both one is made."""
CONTROL_PLANES, WORKERS = 3, 2
_NAME = "lab"
_SETTINGS = "cluster: {nodeMonitorGracePeriod: 6}"
"""Nodes are missed after six seconds, so that it can be measured how soon the pods of a dead one run elsewhere."""
_CREATE_SECONDS = 900.0  # the node image may have to be made
_LOAD_SECONDS = 120.0


@dataclass(frozen=True)
class Provided:
    """A lab, an image with a shell that its machines have, and whether all of them have the same clock."""

    lab: Lab
    image: str
    single_clock: bool

    async def load(self, *names: str) -> None:
        """Bring images of this host's Docker into every machine that does not have them. Raises CommandError."""
        with tempfile.NamedTemporaryFile(prefix="cloudlet-images-", suffix=".tar") as file:
            await Commands().run("docker", "save", "--output", file.name, *names, timeout=_LOAD_SECONDS)
            archive = await asyncio.to_thread(Path(file.name).read_bytes)
        await asyncio.gather(*(_load(machine, archive, names) for machine in self.lab.machines))


async def _load(machine: Machine, archive: bytes, names: tuple[str, ...]) -> None:
    try:
        await machine.run("docker", "image", "inspect", *names)
    except CommandError:
        await machine.run("docker", "load", "--quiet", stdin=archive, timeout=_LOAD_SECONDS)


@contextmanager
def provided() -> Iterator[Provided]:
    """The lab that the environment names, or a new one. Raises InventoryError, KubeconfigError, CalledProcessError."""
    if path := os.environ.get(INVENTORY, ""):
        yield from_inventory(Path(path))
    elif name := os.environ.get(EXISTING, ""):
        images.ensure_busybox()
        given = asyncio.run(from_containers(name))
        asyncio.run(given.load(given.image))
        yield given
    else:
        with created(_NAME, CONTROL_PLANES, WORKERS, _SETTINGS):
            yield asyncio.run(from_containers(_NAME))


def from_inventory(path: Path) -> Provided:
    """The machines of a file. Raises InventoryError, KubeconfigError."""
    given = inventory.read(path)
    config = kubeconfig.load(given.kubeconfig.expanduser())
    machines = [entry.machine() for entry in given.machines]
    image = given.image or images.BUSYBOX
    single_clock = all(entry.container for entry in given.machines)
    return Provided(Lab(machines, _every_server(config, machines)), image, single_clock)


async def from_containers(name: str) -> Provided:
    """The nodes of a lab that is there. Raises LookupError when it is not."""
    nodes = (await Containers(Commands()).clusters()).get(name)
    if not nodes:
        raise LookupError(f"there is no lab {name}: `cloudctl get clusters` lists them")
    machines: list[Machine] = [
        DockerMachine(node.name, node.address, "worker" if node.role == "worker" else "control-plane", node.name)
        for node in nodes
    ]
    first = next(machine for machine in machines if machine.role == "control-plane")
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(await first.run("cat", f"{HOME}/admin.kubeconfig"))
        file.flush()
        config = kubeconfig.load(file.name)
    return Provided(Lab(machines, _every_server(config, machines)), images.BUSYBOX, single_clock=True)


def _every_server(config: Kubeconfig, machines: list[Machine]) -> Kubeconfig:
    """One server per control plane, whatever the kubeconfig lists: the faults' clients look at each of them."""
    port = urlsplit(config.servers[0]).port or 443
    servers = [f"https://{machine.address}:{port}" for machine in machines if machine.role == "control-plane"]
    return replace(config, servers=servers)


@contextmanager
def created(name: str, control_planes: int, workers: int, settings: str = "") -> Iterator[None]:
    """A new lab with the tests' image; the user's kubeconfig knows nothing of it. `settings` as for `init --config`."""
    images.ensure_busybox()
    with tempfile.TemporaryDirectory(prefix="cloudlet-lab-") as folder:
        environment = os.environ | {"KUBECONFIG": f"{folder}/kubeconfig"}
        config = Path(folder, "init.yaml")
        config.write_text(settings or "{}")

        def cloudctl(*words: str, seconds: float) -> None:
            line = (sys.executable, "-m", "cloudctl", *words)
            subprocess.run(line, env=environment, check=True, timeout=seconds, stdout=sys.stderr)

        size = (f"--control-planes={control_planes}", f"--nodes={workers}", f"--config={config}", "--virtual-ip")
        cloudctl("create", "cluster", f"--name={name}", *size, seconds=_CREATE_SECONDS)
        try:
            cloudctl("load", f"--name={name}", images.BUSYBOX, seconds=_LOAD_SECONDS)
            yield
        finally:
            cloudctl("delete", "cluster", f"--name={name}", seconds=_LOAD_SECONDS)
