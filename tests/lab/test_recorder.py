"""Recorder and checker on a real etcd and two real API servers, which die while the clients work."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from api import resources
from client import kubeconfig
from client.kubeconfig import Kubeconfig
from client.rest import ApiClient
from tests.api.cluster import Cluster
from tests.lab.history import check
from tests.lab.recorder import Recorder

WRITES = 60
"""How much is acknowledged before and after a fault."""


@dataclass
class Servers:
    """Two API servers on one etcd."""

    first: Cluster
    second: Cluster

    def config(self) -> Kubeconfig:
        return replace(kubeconfig.load(self.first.kubeconfig()), servers=[self.first.url, self.second.url])


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    folder = Path(tempfile.mkdtemp(prefix="cloudlet-lab-"))
    first = Cluster(folder)
    second = Cluster(folder, etcd_port=first.etcd_port, name="apiserver-2")
    try:
        first.start()
        second.start_server()
        yield Servers(first, second)
    finally:
        second.close()
        first.close()
        shutil.rmtree(folder, ignore_errors=True)


async def _nothing(servers: Servers) -> None:
    pass


async def _kill_etcd(servers: Servers) -> None:
    await asyncio.to_thread(servers.first.stop, "etcd", signal.SIGKILL)
    await asyncio.to_thread(servers.first.start_etcd)


async def _kill_server(servers: Servers) -> None:
    await asyncio.to_thread(servers.first.stop, "apiserver", signal.SIGKILL)
    await asyncio.to_thread(servers.first.start_server)


async def _pause_etcd(servers: Servers) -> None:
    pid = servers.first.processes["etcd"].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(2)
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize(
    "fault", [_nothing, _kill_etcd, _kill_server, _pause_etcd], ids=lambda f: f.__name__.strip("_")
)
async def test_no_promise_is_broken_while_servers_die(
    servers: Servers, fault: Callable[[Servers], Awaitable[None]]
) -> None:
    namespace = f"lab-{fault.__name__.strip('_').replace('_', '-')}"
    async with ApiClient(servers.config()) as client:
        await client.create(resources.NAMESPACES, {"metadata": {"name": namespace}})
    async with Recorder(servers.config(), namespace) as recorder:
        await recorder.worked(WRITES)
        await fault(servers)
        await recorder.worked(WRITES)
        history = await recorder.finish()
    assert check(history) == []
    assert any(session.events for session in history.sessions)
    assert 0 < recorder.outage() < 15
    print(f"{fault.__name__}: {len(history.acknowledged())} writes, outage {recorder.outage():.2f} s")


async def test_a_write_that_is_taken_back_is_noticed(servers: Servers) -> None:
    namespace = "lab-forgetful"
    async with ApiClient(servers.config()) as client:
        await client.create(resources.NAMESPACES, {"metadata": {"name": namespace}})
        async with Recorder(servers.config(), namespace) as recorder:
            await recorder.worked(WRITES)
            key = recorder.history.acknowledged()[0].key
            await client.delete(resources.CONFIGMAPS, key, namespace)
            history = await recorder.finish()
    assert {"watch", "guard"} & {violation.promise for violation in check(history)}
