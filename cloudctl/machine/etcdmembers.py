"""This machine's etcd member, and all members as a table."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from urllib.parse import urlsplit

from api import resources
from api.errors import NotFound
from client.rest import ApiClient
from cloudctl.cluster.state import ClusterError
from cloudctl.machine import discovery
from cloudctl.machine.etcdctl import EtcdCtl, EtcdCtlError, Member, Status
from cloudctl.machine.layout import Machine
from cloudctl.machine.settings import ETCD_CLIENT_PORT
from cloudctl.table import render

_MIB = 1 << 20


def member(home: Path) -> EtcdCtl:
    """The store through the member of this machine. Raises ClusterError when it is no control plane."""
    return _store(home, f"https://127.0.0.1:{ETCD_CLIENT_PORT}")


def _store(home: Path, endpoint: str) -> EtcdCtl:
    keys = home / "pki" / "etcd"
    cert, key = keys / "apiserver-client.crt", keys / "apiserver-client.key"
    if not key.exists():
        raise ClusterError(f"this machine is no control plane ({key} is not there): run this on one that is")
    return EtcdCtl([endpoint], keys / "ca.crt", cert, key)


async def table(home: Path) -> str:
    """All members, with what each says of itself. Raises ClusterError, EtcdCtlError."""
    members = await member(home).members()
    said = await asyncio.gather(*(_ask(home, one) for one in members))
    rows = [_row(one, status) for one, status in zip(members, said, strict=True)]
    return render(["NAME", "ID", "ROLE", "PEER", "CLIENT", "VERSION", "REVISION", "SIZE"], rows)


async def _ask(home: Path, one: Member) -> Status | None:
    if not one.client_urls:
        return None
    try:
        [status] = await _store(home, one.client_urls[0]).status()
    except EtcdCtlError:
        return None
    return status


def _row(one: Member, status: Status | None) -> list[str]:
    role = "learner" if one.learner else "voter"
    if status is not None and status.leader == one.id:
        role = "leader"
    where = [",".join(one.peer_urls), ",".join(one.client_urls)]
    if status is None:
        state = f"{role}, {'down' if one.name else 'not started'}"
        return [one.name or "-", f"{one.id:x}", state, *where, "-", "-", "-"]
    size = f"{status.db_size / _MIB:.1f} MiB"
    return [one.name, f"{one.id:x}", role, *where, status.version, str(status.revision), size]


async def forget(machine: Machine, name: str) -> None:
    """Take a control plane that is gone for good out of etcd's members, the list of API servers and the nodes.

    Raises ClusterError for this machine and for a name that is no member's, EtcdCtlError.
    """
    if name == machine.name:
        raise ClusterError(f"{name} is this machine: `cloudctl reset` takes it out")
    store = member(machine.home)
    members = await store.members()
    gone = [one for one in members if one.name == name]
    if not gone:
        raise ClusterError(f"{name} is no member of etcd; they are {', '.join(one.name for one in members)}")
    await store.remove(gone[0].id)
    address = urlsplit(gone[0].peer_urls[0]).hostname
    async with ApiClient.from_kubeconfig(machine.admin_kubeconfig, "cloudctl") as client:
        await discovery.remove_server(client, f"https://{address}:{machine.settings.cluster.port}")
        with contextlib.suppress(NotFound):
            await client.delete(resources.NODES, name)
