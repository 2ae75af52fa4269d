"""A real etcd on loopback for one test."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from client.command import Commands
from cloudctl.machine.etcdctl import EtcdCtl
from tests.api.cluster import free_port


class Etcd:
    """One member; `url` for clients, `peer` for other members."""

    def __init__(self, folder: Path, name: str = "default") -> None:
        self.folder, self.name = folder, name
        self.url, self.peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        self.ctl = EtcdCtl([self.url])
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, cluster: str = "", state: str = "new") -> None:
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                "etcd", f"--name={self.name}", f"--data-dir={self.folder / 'data'}", f"--listen-client-urls={self.url}",
                f"--advertise-client-urls={self.url}", f"--listen-peer-urls={self.peer}",
                f"--initial-advertise-peer-urls={self.peer}",
                f"--initial-cluster={cluster or f'{self.name}={self.peer}'}", f"--initial-cluster-state={state}",
                "--unsafe-no-fsync", "--logger=zap", "--log-level=warn",
                stdout=log, stderr=log,
            )  # fmt: skip

    async def ready(self) -> None:
        async with asyncio.timeout(20):
            while not (await self.ctl.health())[0].healthy:
                assert self._process is not None
                assert self._process.returncode is None, (self.folder / "log").read_text()

    async def put(self, key: str, value: str) -> None:
        await Commands().run("etcdctl", f"--endpoints={self.url}", "put", key, value)

    async def stop(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


@contextlib.asynccontextmanager
async def running(folder: Path, name: str = "default") -> AsyncIterator[Etcd]:
    """A one-member cluster."""
    etcd = Etcd(folder, name)
    await etcd.start()
    try:
        await etcd.ready()
        yield etcd
    finally:
        await etcd.stop()
