"""This machine's place among etcd's members: the first, a learner that gets its vote once it is in sync, or none any more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from client.backoff import Backoff
from client.command import Commands
from cloudctl.cluster.flags import Member
from cloudctl.cluster.state import ClusterError
from cloudctl.machine import etcdctl, flags
from cloudctl.machine.etcdctl import EtcdCtl, EtcdCtlError, EtcdUnavailable, LearnerNotReady
from cloudctl.machine.layout import Machine

_SECONDS = 60.0


def etcd(machine: Machine, addresses: list[str], commands: Commands) -> EtcdCtl:
    """The cluster's store, asked through the members at these addresses."""
    keys = machine.pki / "etcd"
    endpoints = [flags.client_url(address) for address in addresses]
    return EtcdCtl(
        endpoints, keys / "ca.crt", keys / "apiserver-client.crt", keys / "apiserver-client.key", commands=commands
    )


def refuse_foreign_data(machine: Machine) -> None:
    """Raises ClusterError when the data folder holds a member already, which may be another cluster's."""
    if (machine.etcd_data / "member").exists():
        raise ClusterError(
            f"{machine.etcd_data} holds the data of an etcd member, perhaps of another cluster: "
            "`cloudctl reset` removes it, `cloudctl etcd snapshot restore` brings a cluster back"
        )


async def add(machine: Machine, store: EtcdCtl) -> Member:
    """Have this machine among the members, as a learner if it is new. Raises ClusterError."""
    url = flags.peer_url(machine.settings.address)
    async with _patience("etcd takes no new member"):
        backoff = Backoff(first=0.2)
        while True:
            try:
                return await _add(machine, store, url)
            except EtcdUnavailable:
                # Another member may be on its way in: etcd takes one at a time.
                await asyncio.sleep(backoff.next())
            except EtcdCtlError as error:
                if "too many learner" not in str(error):
                    raise ClusterError(str(error)) from error
                await asyncio.sleep(backoff.next())


async def _add(machine: Machine, store: EtcdCtl, url: str) -> Member:
    present = await store.members()
    own = [one for one in present if url in one.peer_urls or one.name == machine.name]
    if own and (machine.etcd_data / "member").exists():
        return flags.member(machine, _peers(present))
    for one in own:
        # From an attempt that did not come to its end, or of this machine before it was made anew.
        await store.remove(one.id)
    refuse_foreign_data(machine)
    await store.add_learner(machine.name, url)
    return flags.member(machine, _peers([one for one in present if one not in own]))


def _peers(members: list[etcdctl.Member]) -> dict[str, str]:
    return {one.name: one.peer_urls[0] for one in members if one.name}


async def promote(machine: Machine, store: EtcdCtl) -> None:
    """Return when the member has its vote. Raises ClusterError when it does not catch up in time."""
    url = flags.peer_url(machine.settings.address)
    async with _patience("the new etcd member does not catch up with its leader"):
        backoff = Backoff(first=0.1)
        while True:
            try:
                own = [one for one in await store.members() if url in one.peer_urls]
                if own and not own[0].learner:
                    return
                for one in own:
                    await store.promote(one.id)
            except (LearnerNotReady, EtcdUnavailable):
                # etcd tells nobody when a learner is in sync.
                await asyncio.sleep(backoff.next())
            except EtcdCtlError as error:
                raise ClusterError(str(error)) from error


async def leave(machine: Machine, store: EtcdCtl) -> bool:
    """Take this machine out of the members; False when it was the last or none."""
    url = flags.peer_url(machine.settings.address)
    try:
        members = await store.members()
        own = [one for one in members if url in one.peer_urls]
        if len(members) <= 1 or not own:
            return False
        await store.remove(own[0].id)
    except EtcdCtlError as error:
        raise ClusterError(f"this machine stays in the list of etcd's members: {error}") from error
    return True


@contextlib.asynccontextmanager
async def _patience(complaint: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_SECONDS):
            yield
    except TimeoutError as error:
        raise ClusterError(f"{complaint} within {_SECONDS:g} s") from error
