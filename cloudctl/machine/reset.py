"""`cloudctl reset`: take this machine out of its cluster and leave it as it was. Works on what is really there."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable
from pathlib import Path

from api import resources
from api.errors import ApiError, NotFound
from client.command import CommandError, Commands
from client.kubeconfig import KubeconfigError
from client.rest import ApiClient
from cloudctl.cluster import cleanup, network
from cloudctl.cluster.state import ClusterError
from cloudctl.cluster.steps import Steps
from cloudctl.machine import discovery, flags, members, node
from cloudctl.machine.layout import ETC, HOME, Machine, program
from cloudctl.machine.settings import MachineSettings
from cloudctl.machine.snapshots import schedule
from cloudctl.machine.systemd import CONTROL_UNITS, NODE_UNITS, UNITS, VIRTUAL_IP, Systemd


def there(home: Path = HOME, etc: Path = ETC, units: Path = UNITS) -> bool:
    """Whether anything of a cluster is on this machine."""
    return (etc / "machine.yaml").exists() or any(home.glob("*")) or (units / "cloudlet.target").exists()


async def reset(steps: Steps, home: Path = HOME, etc: Path = ETC) -> None:
    """Return when nothing is left. What the cluster cannot be told is said, and does not stop the rest."""
    if not there(home, etc):
        steps.say("this machine is in no cluster: nothing to do")
        return
    machine = _machine(home, etc)
    commands = Commands()
    systemd = Systemd(commands)
    with steps.step("the cluster is told"):
        for complaint in await _say_goodbye(machine, commands):
            steps.say(f"[yellow]warning[/yellow]: {complaint}")
    with steps.step("daemons stopped"):
        await systemd.disable_timers()
        with contextlib.suppress(ClusterError):  # units that never were enabled
            await systemd.disable((*NODE_UNITS, *CONTROL_UNITS, VIRTUAL_IP))
        await systemd.stop(VIRTUAL_IP, *NODE_UNITS, *reversed(CONTROL_UNITS))
        await schedule.stop(schedule.SystemdTimers(commands), UNITS, etc)
    with steps.step("containers, disks, rules and addresses removed"):
        for complaint in await _clean(machine, commands):
            steps.say(f"[yellow]warning[/yellow]: {complaint}")
    with steps.step("files removed"):
        if mounted := cleanup.mounts(machine):
            raise ClusterError(f"{mounted[0]} is still mounted; unmount it, then `cloudctl reset` again")
        await systemd.remove()
        for path in (machine.home, machine.etc):
            node.forget(path)
        await commands.succeeds("userdel", node.USER)


def _machine(home: Path, etc: Path) -> Machine:
    """As it was decided; with stand-ins where the file is gone or damaged, because leaving must work all the same."""
    try:
        return Machine.here(home, etc)
    except ClusterError:
        return Machine(MachineSettings(node_name="unknown", address="127.0.0.1"), home, etc)


async def _say_goodbye(machine: Machine, commands: Commands) -> list[str]:
    """Have the cluster forget this machine; returns what did not work."""
    if not machine.is_control_plane:
        return [f"the Node stays in the cluster: on a control plane, `cloudctl delete node {machine.name}`"]
    complaints: list[str] = []
    try:
        async with ApiClient.from_kubeconfig(machine.admin_kubeconfig, "cloudctl") as client:
            others = [s for s in await discovery.remove_server(client, machine.server) if s != machine.server]
            if not others:
                return []
            await _tolerate(complaints, client.delete(resources.NODES, machine.name))
            addresses = [discovery.host(server) for server in others]
            await members.leave(machine, members.etcd(machine, addresses, commands))
    except (ApiError, KubeconfigError, ClusterError) as error:
        complaints.append(f"the cluster cannot be told: {error}")
    return complaints


async def _tolerate(complaints: list[str], request: Awaitable[object]) -> None:
    try:
        await request
    except NotFound:
        return
    except ApiError as error:
        complaints.append(error.message)


async def _clean(machine: Machine, commands: Commands) -> list[str]:
    """Everything that the node's daemons left in Docker and in the kernel; returns complaints."""
    await cleanup.remove_containers(machine)
    complaints: list[str] = []
    try:
        await cleanup.unmount(machine, commands)
        for name, chosen in (
            ("proxy", flags.node(machine)["proxy"]),
            ("cloud", flags.control_plane(machine, [])["cloud"]),
        ):
            if machine.environment_file(name).exists():
                await commands.run(str(program(f"cloudlet-{name}")), *chosen, "--cleanup", timeout=60)
        await cleanup.unmount(machine, commands)
        await network.remove(commands)
    except CommandError as error:
        complaints.append(str(error))
    return complaints
