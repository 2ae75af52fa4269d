"""API servers as processes of their own (stub.py) and kubeconfigs for them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from client import kubeconfig
from cloudctl.cluster.pairs import Pair
from cloudctl.cluster.pki import Authority, Leaf, server_leaf


class Servers:
    """Starts servers that one authority vouches for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority.have(folder, "ca", "ca")
        pair = self.authority.issue(server_leaf("server", ["127.0.0.1"]))
        (folder / "server.crt").write_bytes(pair.cert)
        (folder / "server.key").write_bytes(pair.key)
        self.all: list[Server] = []

    def start(self, name: str) -> Server:
        server = Server(self.folder, name)
        self.all.append(server)
        return server

    def client(self, name: str) -> Pair:
        """A client certificate."""
        return self.authority.issue(Leaf(name))

    def kubeconfig(self, *servers: str, **user: Any) -> Path:
        """A kubeconfig for these addresses."""
        path = self.folder / "kubeconfig"
        kubeconfig.write(path, "c", list(servers), self.authority.bundle, user="u", **user)
        return path

    def stop(self) -> None:
        for server in self.all:
            server.signal(signal.SIGKILL)
            server.process.wait(10)
            assert server.process.stdout is not None
            server.process.stdout.close()


class Server:
    """One process, at `url`."""

    def __init__(self, folder: Path, name: str) -> None:
        files = [str(folder / file) for file in ("server.crt", "server.key", "ca.crt")]
        stub = str(Path(__file__).with_name("stub.py"))
        self.process = subprocess.Popen([sys.executable, "-I", stub, *files, name], stdout=subprocess.PIPE)
        self.port = int(self.line())
        self.url = f"https://127.0.0.1:{self.port}"

    def line(self) -> str:
        """The next line that the process prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode()

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    async def has_connections(self, count: int) -> None:
        """Wait until the test has that many connections to the server."""
        async with asyncio.timeout(15):
            while self._connections() != count:  # noqa: ASYNC110 (the kernel tells nobody)
                await asyncio.sleep(0.01)

    def _connections(self) -> int:
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
        mine = (line.split() for line in lines)
        return sum(1 for f in mine if f[2].endswith(f":{self.port:04X}") and f[3] not in _OVER and f[9] != "0")


# TIME_WAIT, CLOSE and LISTEN; a socket without an inode (field 9) belongs to no process any more.
_OVER = {"06", "07", "0A"}


class Blackhole:
    """An address whose packets get no answer: a listener whose queue is full drops them."""

    def __init__(self) -> None:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self._fill = [socket.socket() for _ in range(4)]
        for each in self._fill:
            each.setblocking(False)
            each.connect_ex(self._listener.getsockname())

    def close(self) -> None:
        for each in (*self._fill, self._listener):
            each.close()
