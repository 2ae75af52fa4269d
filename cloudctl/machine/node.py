"""What every machine of a cluster has, whatever its role: folders, the user, a kubelet that bootstraps itself, a proxy."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from api import resources
from api.errors import ApiError
from api.types import Object
from client import kubeconfig
from client.command import CommandError, Commands
from client.rest import ApiClient
from cloudctl.cluster.ready import node_is_ready
from cloudctl.cluster.state import ClusterError
from cloudctl.machine import flags
from cloudctl.machine.layout import Machine
from cloudctl.machine.systemd import NODE_UNITS, Systemd
from cloudctl.machine.tokens import Token
from cloudctl.wait import Scope, until

USER = "cloudlet"
_READY_SECONDS = 120.0
# Files of the control plane that only daemons of root may read; the user `cloudlet` reads the others.
_FOR_ROOT = ("admin.kubeconfig", "cloud.kubeconfig")


async def prepare(machine: Machine, commands: Commands) -> None:
    """Have the user and the folders. Raises ClusterError."""
    for folder, mode in (
        (machine.home, 0o755),
        (machine.pki, 0o750),
        (machine.logs, 0o750),
        (machine.etcd_data, 0o700),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(mode)
    if not await commands.succeeds("getent", "passwd", USER):
        try:
            await commands.run(
                "useradd", "--system", "--home-dir", str(machine.home), "--no-create-home",
                "--shell", "/usr/sbin/nologin", USER,
            )  # fmt: skip
        except CommandError as error:
            raise ClusterError(f"the user {USER} cannot be made: {error}") from error


def give_to_user(machine: Machine) -> None:
    """Let the daemons that run as the user `cloudlet` read what is theirs."""
    for path in [machine.pki, *machine.pki.rglob("*"), machine.etcd_data, machine.logs]:
        shutil.chown(path, USER, USER)
    for path in machine.home.glob("*.kubeconfig"):
        if path.name not in _FOR_ROOT and path not in (machine.kubelet_kubeconfig, machine.bootstrap_kubeconfig):
            shutil.chown(path, USER, USER)
    for path in machine.etc.glob("*.env"):
        shutil.chown(path, "root", USER)


def write_bootstrap(machine: Machine, servers: list[str], ca: bytes, token: Token) -> None:
    """The kubeconfig by which the kubelet asks for its certificate, and the CA by which it knows the API server."""
    kubeconfig.write(machine.bootstrap_kubeconfig, "cloudlet", servers, ca, user="kubelet-bootstrap", token=str(token))
    ca_file = machine.pki / "ca.crt"
    if not ca_file.exists():
        ca_file.write_bytes(ca)
        ca_file.chmod(0o644)


async def start_kubelet(machine: Machine, systemd: Systemd) -> None:
    """Start the node agent; returns when it has its certificate and the engine answers."""
    for daemon, chosen in flags.node(machine).items():
        flags.write(machine, daemon, chosen)
    await systemd.enable(NODE_UNITS)
    await systemd.start("kubelet")


async def start(machine: Machine, systemd: Systemd) -> None:
    """Start kubelet, if it does not run, and proxy, which uses the kubelet's kubeconfig."""
    await start_kubelet(machine, systemd)
    await systemd.start("proxy")


async def ready(
    client: ApiClient, name: str, because: Callable[[], str], seconds: float = _READY_SECONDS, version: str = ""
) -> Object:
    """The Node once it is Ready, its kubelet of `version` if one is named. Raises ClusterError with what `because` finds out."""
    seen: dict[str, Object] = {}

    def judge(found: dict[str, Object]) -> Object | None:
        seen.update(found)
        node = found.get(name)
        if node is None or not node_is_ready(node):
            return None
        return node if version in ("", node["status"]["nodeInfo"]["kubeletVersion"]) else None

    try:
        return await until(client, Scope.one(resources.NODES, name), judge, seconds)
    except TimeoutError as error:
        conditions = (seen.get(name, {}).get("status") or {}).get("conditions") or ()
        said = [c["message"] for c in conditions if c["type"] == "Ready"]
        why = said[0] if said else because()
        raise ClusterError(f"the node {name} is not Ready after {seconds:g} s: {why}") from error
    except ApiError as error:
        raise ClusterError(f"the API server does not show the node {name}: {error.message}") from error


def forget(path: Path) -> None:
    """Remove a file or folder that may not be there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
