"""The part of init and join that only control planes have: etcd, the API server, and the daemons that need both."""

from __future__ import annotations

from api import resources
from client.rest import ApiClient
from cloudctl.cluster.flags import Member
from cloudctl.machine import certificates, flags, node
from cloudctl.machine.certs import timer
from cloudctl.machine.layout import Machine
from cloudctl.machine.systemd import CONTROL_UNITS, Systemd


async def etcd(machine: Machine, systemd: Systemd, member: Member) -> None:
    """Start the store; returns when it serves."""
    flags.write(machine, "etcd", flags.etcd(machine, member))
    node.give_to_user(machine)
    await systemd.start("etcd")


async def apiserver(machine: Machine, systemd: Systemd) -> None:
    """Start the API server; returns when it serves."""
    for daemon, chosen in flags.control_plane(machine, [flags.client_url("127.0.0.1")]).items():
        flags.write(machine, daemon, chosen)
    node.give_to_user(machine)
    await systemd.start("apiserver")


async def daemons(machine: Machine, systemd: Systemd) -> None:
    """Start what works on the API; each returns when it serves or stands by. From now on certificates renew themselves."""
    await systemd.enable(CONTROL_UNITS)
    await systemd.enable_timer("certs", timer.override(machine.settings.cluster.certificate_seconds))
    await systemd.start("controllers", "scheduler", "cloud")


async def mark(client: ApiClient, machine: Machine) -> None:
    """Give the Node the label of its role, which kubelets may not give themselves."""
    patch = {"metadata": {"labels": {flags.CONTROL_PLANE_LABEL: ""}}}
    await client.patch(resources.NODES, machine.name, patch, field_manager="cloudctl")


def servers(machine: Machine, known: list[str]) -> list[str]:
    """The API servers for this machine's own daemons: its own first, then the others."""
    return [machine.server, *(one for one in known if one != machine.server)]


def identity(machine: Machine, known: list[str]) -> list[str]:
    """Have certificates and kubeconfigs."""
    return certificates.ensure(machine, servers(machine, known))
