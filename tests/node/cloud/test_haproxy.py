"""Real HAProxy processes on loopback addresses: balancing, health, reload without a lost connection, adoption."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop

from client.command import Commands
from controllers.cloud.local.haproxy import HAProxy
from controllers.cloud.local.haproxy_config import render
from controllers.cloud.provider import Balancer, BalancerPort, CloudError

pytestmark = pytest.mark.skipif(not shutil.which("haproxy"), reason="needs haproxy")


@asynccontextmanager
async def backend(name: str, address: str, port: int = 0) -> AsyncIterator[int]:
    """Says its name and echoes what it gets."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"{name}\n".encode())
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(serve, address, port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def hello(port: int, address: str = "127.0.0.1") -> str:
    try:
        reader, writer = await asyncio.open_connection(address, port)
        line = await asyncio.wait_for(reader.readline(), 10)
        writer.close()
    except OSError:
        return "refused"
    return line.decode().strip() or "closed"


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that no event announces; asks as often as it may, for fifteen seconds."""
    async with asyncio.timeout(15):
        while True:
            answer = condition()
            if await answer if isinstance(answer, Awaitable) else answer:
                return
            await asyncio.sleep(0.02)


def runs(pid: int) -> bool:
    """Whether the process is there and no zombie that waits for its parent."""
    try:
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return False


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def config_stamp(directory: Path) -> int:
    return (directory / "haproxy.cfg").stat().st_mtime_ns


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "web").mkdir()
    return tmp_path / "web"


@pytest.fixture
async def haproxy(directory: Path) -> AsyncIterator[HAProxy]:
    ended: list[Path] = []
    haproxy = HAProxy(Commands(), ended.append)
    haproxy.ended = ended  # type: ignore[attr-defined]
    yield haproxy
    await haproxy.stop(directory)
    haproxy.close()


def config(front: int, node_port: int, *backends: str, **more: object) -> str:
    asked = Balancer("u", "default/web", (BalancerPort(front, node_port),), backends, **more)  # type: ignore[arg-type]
    return render(asked, "127.0.0.1")


async def test_connections_are_spread_and_follow_health(haproxy: HAProxy, directory: Path) -> None:
    front = free_port()
    async with backend("one", "127.0.0.2") as port:
        async with backend("two", "127.0.0.3", port):
            await haproxy.run(directory, config(front, port, "127.0.0.2", "127.0.0.3"))
            assert {await hello(front) for _ in range(10)} == {"one", "two"}
        assert {await hello(front) for _ in range(10)} == {"one"}
        async with backend("two", "127.0.0.3", port):

            async def both() -> bool:
                return {await hello(front) for _ in range(4)} == {"one", "two"}

            await until(both)


async def test_a_reload_keeps_open_connections(haproxy: HAProxy, directory: Path) -> None:
    front = free_port()
    async with backend("one", "127.0.0.2") as port, backend("two", "127.0.0.3", port):
        await haproxy.run(directory, config(front, port, "127.0.0.2"))
        pid = haproxy.pid(directory)
        reader, writer = await asyncio.open_connection("127.0.0.1", front)
        assert await reader.readline() == b"one\n"
        failures = 0
        await haproxy.run(directory, config(front, port, "127.0.0.3"))

        async def moved() -> bool:
            nonlocal failures
            answer = await hello(front)
            failures += answer not in ("one", "two")
            return answer == "two"

        await until(moved)
        assert failures == 0
        assert haproxy.pid(directory) == pid
        writer.write(b"still here\n")
        assert await asyncio.wait_for(reader.readline(), 5) == b"still here\n"
        writer.close()


async def test_an_unchanged_configuration_disturbs_nothing(haproxy: HAProxy, directory: Path) -> None:
    front = free_port()
    text = config(front, 1, "127.0.0.2")
    await haproxy.run(directory, text)
    pid, stamp = haproxy.pid(directory), config_stamp(directory)
    other = HAProxy(Commands(), lambda _: None)
    await other.run(directory, text)
    assert (other.pid(directory), config_stamp(directory)) == (pid, stamp)
    assert runs(pid)
    # The process that came later can change the configuration of the one it found.
    await other.run(directory, config(front, 2, "127.0.0.2"))
    assert other.pid(directory) == pid
    other.close()


async def test_a_process_that_dies_is_noticed_and_started_again(haproxy: HAProxy, directory: Path) -> None:
    text = config(free_port(), 1, "127.0.0.2")
    await haproxy.run(directory, text)
    pid = haproxy.pid(directory)
    os.kill(pid, signal.SIGKILL)
    await until(lambda: haproxy.ended)  # type: ignore[attr-defined]
    assert haproxy.pid(directory) == 0
    await haproxy.run(directory, text)
    assert haproxy.pid(directory) not in (0, pid)


async def test_a_stale_pid_file_kills_nobody(haproxy: HAProxy, directory: Path) -> None:
    (directory / "haproxy.pid").write_text(f"{os.getpid()}\n")
    assert haproxy.pid(directory) == 0
    await haproxy.stop(directory)


async def test_a_port_that_is_taken_is_an_error_with_a_reason(haproxy: HAProxy, directory: Path) -> None:
    front = free_port()
    async with backend("other", "127.0.0.1") as port:
        with pytest.raises(CloudError, match=f"127.0.0.1:{port}"):
            await haproxy.run(directory, config(port, 1, "127.0.0.2"))
        await haproxy.run(directory, config(front, 1, "127.0.0.2"))
        with pytest.raises(CloudError, match=f"127.0.0.1:{port}"):
            await haproxy.run(directory, config(port, 1, "127.0.0.2"))
    await haproxy.run(directory, config(port, 1, "127.0.0.2"))
    assert haproxy.pid(directory)


async def test_without_backends_clients_are_turned_away(haproxy: HAProxy, directory: Path) -> None:
    front = free_port()
    await haproxy.run(directory, config(front, 1))
    assert await hello(front) in ("closed", "refused")


async def test_source_ranges_and_stickiness_are_configurations_haproxy_accepts(
    haproxy: HAProxy, directory: Path
) -> None:
    front = free_port()
    async with backend("one", "127.0.0.2") as port, backend("two", "127.0.0.3", port):
        nodes = ("127.0.0.2", "127.0.0.3")
        await haproxy.run(directory, config(front, port, *nodes, sticky_seconds=60))
        assert len({await hello(front) for _ in range(8)}) == 1
        await haproxy.run(directory, config(front, port, *nodes, source_ranges=("192.0.2.0/24",)))

        async def shut() -> bool:
            return await hello(front) in ("closed", "refused")

        await until(shut)


async def test_stop_ends_every_process(haproxy: HAProxy, directory: Path) -> None:
    await haproxy.run(directory, config(free_port(), 1, "127.0.0.2"))
    pid = haproxy.pid(directory)
    processes = [pid, *children(pid)]
    assert len(processes) == 2
    await haproxy.stop(directory)
    await until(lambda: not any(runs(process) for process in processes))


def test_in_the_daemons_own_loop(directory: Path) -> None:
    """uvloop starts programs in its own way: a wait for a daemon's pipes would never end there."""

    async def start() -> int:
        haproxy = HAProxy(Commands(), lambda _: None)
        await haproxy.run(directory, config(free_port(), 1, "127.0.0.2"))
        pid = haproxy.pid(directory)
        await haproxy.stop(directory)
        return pid

    assert uvloop.run(start())
