"""keepalived is told how the API server beside it is and who the others are, as both change."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from client import kubeconfig
from client.daemon import Daemon
from client.health import HealthServer
from cloudctl.cluster.state import ClusterError
from cloudctl.machine.layout import Machine
from cloudctl.machine.settings import ClusterSettings, MachineSettings
from cloudctl.machine.virtualip.keeper import Keeper
from tests.unit.client.servers import Server, Servers

_OWN, _OTHER = "127.0.0.1", "https://127.0.0.2:6443"
# Says that it was told to read its configuration again, and stays; no signal can come between two of its steps.
_PROGRAM = (
    f"#!{sys.executable}"
    """
import pathlib, shutil, signal

folder, signals = pathlib.Path("{folder}"), (signal.SIGHUP, signal.SIGTERM)
signal.pthread_sigmask(signal.SIG_BLOCK, signals)
(folder / "started").touch()
while signal.sigwait(signals) == signal.SIGHUP:
    shutil.copy(folder / "keepalived.conf", folder / "told")
(folder / "ended").touch()
"""
)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    made = Servers(tmp_path)
    yield made
    made.stop()


def machine(servers: Servers, server: Server, home: Path) -> Machine:
    home.mkdir()
    cluster = ClusterSettings(port=server.port, virtual_ip="192.0.2.9")
    found = Machine(MachineSettings(node_name="a", address=_OWN, interface="lo", cluster=cluster), home, home)
    know(found, servers, found.server)
    return found


def know(machine: Machine, servers: Servers, *urls: str) -> None:
    """What the kubelet does when control planes come and go."""
    kubeconfig.write(machine.kubeconfig("controllers"), "c", list(urls), servers.authority.bundle, user="u", token="t")


def executable(folder: Path, text: str) -> Path:
    folder.mkdir()
    path = folder / "program"
    path.write_text(text)
    path.chmod(0o755)
    return path


@asynccontextmanager
async def keeping(machine: Machine, folder: Path, program: str) -> AsyncIterator[asyncio.Task[None]]:
    path = executable(folder, program.format(folder=folder))
    health = HealthServer(asyncio.get_running_loop(), "127.0.0.1", 0)
    task = asyncio.create_task(Keeper(machine, folder, Daemon("vip", health), str(path)).run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.to_thread(health.close)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not holds():  # noqa: ASYNC110 (files tell nobody)
            await asyncio.sleep(0.01)


def says(path: Path, text: str) -> Callable[[], bool]:
    return lambda: path.exists() and text in path.read_text()


async def test_fitness_follows_the_api_server(servers: Servers, tmp_path: Path) -> None:
    server, folder = servers.start("one"), tmp_path / "run"
    async with keeping(machine(servers, server, tmp_path / "home"), folder, _PROGRAM):
        await until(says(folder / "fitness", "50\n"))
        server.signal(signal.SIGUSR1)  # it says that it is not ready
        await until(says(folder / "fitness", "10\n"))


async def test_the_configuration_follows_the_list_of_servers(servers: Servers, tmp_path: Path) -> None:
    server, folder = servers.start("one"), tmp_path / "run"
    here = machine(servers, server, tmp_path / "home")
    async with keeping(here, folder, _PROGRAM):
        await until((folder / "started").exists)
        know(here, servers, here.server, _OTHER)
        await until(says(folder / "told", "127.0.0.2"))


async def test_it_ends_when_keepalived_does(servers: Servers, tmp_path: Path) -> None:
    here = machine(servers, servers.start("one"), tmp_path / "home")
    async with keeping(here, tmp_path / "run", "#!/bin/sh\nexit 3\n") as task:
        with pytest.raises(ClusterError, match="keepalived ended with code 3"):
            await task


async def test_keepalived_ends_with_it(servers: Servers, tmp_path: Path) -> None:
    here, folder = machine(servers, servers.start("one"), tmp_path / "home"), tmp_path / "run"
    async with keeping(here, folder, _PROGRAM):
        await until((folder / "started").exists)
    assert (folder / "ended").exists()
