"""The daemon of `cloudlet-vip.service`: runs keepalived, tells it who its peers are and whether the API server here is ready.

Peers and the CA are read from the controllers' kubeconfig, which the kubelet keeps equal to kube-public/cluster-info as control
planes come and go. keepalived ends with us, and the address goes with it. We are ready once the API answers at the address,
wherever that stands.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

from api.errors import ApiError
from client.command import CommandError, Commands
from client.credentials import Credentials
from client.daemon import Daemon
from client.kubeconfig import Kubeconfig
from client.rest import ApiClient
from client.roster import is_local
from cloudctl.cluster.state import ClusterError
from cloudctl.machine import discovery
from cloudctl.machine.layout import Machine, interface_of
from cloudctl.machine.virtualip import configuration
from cloudctl.machine.virtualip.configuration import Place

PROGRAM = "/usr/sbin/keepalived"
_PERIOD, _PATIENCE = 0.5, 0.8
_STOP_SECONDS = 5.0


class Keeper:
    """`run` until cancelled; `folder` is for the files that keepalived reads. Raises ClusterError, KubeconfigError."""

    def __init__(self, machine: Machine, folder: Path, daemon: Daemon, program: str = PROGRAM) -> None:
        own = machine.settings
        if own.cluster.virtual_ip is None:
            raise ClusterError("this cluster has no virtual IP: it is chosen with `cloudctl init --virtual-ip`")
        self._place = Place(own.cluster.virtual_ip, own.address, own.interface or interface_of(own.address))
        self._port, self._server, self._daemon = own.cluster.port, machine.server, daemon
        self._configuration, self._fitness, self._folder = folder / "keepalived.conf", folder / "fitness", folder
        self._program = program
        self._credentials = Credentials(machine.kubeconfig("controllers"))
        self._config = self._credentials.current()
        self._client = self._anybody()
        self._unready_since: float | None = None
        self._worth: int | None = None

    async def run(self) -> None:
        """Raises ClusterError when keepalived ends."""
        await self._drop_leftover()
        self._write_configuration()
        self._write_fitness(configuration.worth(self._place.address, self._peers, holds=False, unready=_PERIOD))
        try:
            async with self._keepalived() as process:
                while process.returncode is None:
                    began = time.monotonic()
                    await self._judge(process)
                    # No event tells that an API server became unready or hangs.
                    await asyncio.sleep(max(0.0, began + _PERIOD - time.monotonic()))
                raise ClusterError(f"keepalived ended with code {process.returncode}")
        finally:
            await self._client.close()

    async def _drop_leftover(self) -> None:
        """Of a keepalived that was killed: another machine may have the address by now."""
        with contextlib.suppress(CommandError):
            await Commands().run("ip", "address", "del", f"{self._place.virtual_ip}/32", "dev", self._place.interface)

    @property
    def _peers(self) -> list[str]:
        servers = map(discovery.host, self._config.servers)
        return [address for address in servers if address not in (self._place.address, self._place.virtual_ip)]

    def _anybody(self) -> ApiClient:
        """A client of this machine's API server alone, who is nobody: how it is anybody may ask."""
        return ApiClient(Kubeconfig(servers=[self._server], ca=self._config.ca), "cloudlet-vip")

    @contextlib.asynccontextmanager
    async def _keepalived(self) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await asyncio.create_subprocess_exec(
            self._program, "--vrrp", "--dont-fork", "--log-console", "--no-syslog", f"--use-file={self._configuration}",
            f"--pid={self._folder}/keepalived.pid", f"--vrrp_pid={self._folder}/vrrp.pid",
        )  # fmt: skip
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()  # it tells its peers, and takes the address away
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_STOP_SECONDS):
                    await process.wait()

    async def _judge(self, process: asyncio.subprocess.Process) -> None:
        """Look who is there and how the API server here is, and say so."""
        await self._follow(process)
        now = time.monotonic()
        if await self._is_ready():
            self._unready_since = None
        elif self._unready_since is None:
            self._unready_since = now
        unready = 0.0 if self._unready_since is None else time.monotonic() - self._unready_since + _PERIOD
        holds = is_local(f"https://{self._place.virtual_ip}:{self._port}")
        self._write_fitness(configuration.worth(self._place.address, self._peers, holds=holds, unready=unready))
        if not self._daemon.health.ready and await _answers(self._place.virtual_ip, self._port):
            self._daemon.ready()

    async def _follow(self, process: asyncio.subprocess.Process) -> None:
        """Take note of other control planes, and of another CA."""
        config = self._credentials.current()
        if config is not self._config:
            self._config = config
            await self._client.close()
            self._client = self._anybody()
            if self._write_configuration():
                process.send_signal(signal.SIGHUP)

    async def _is_ready(self) -> bool:
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._client.raw("GET", "/readyz")
        except (ApiError, TimeoutError):
            return False
        return True

    def _write_configuration(self) -> bool:
        """True when it was another."""
        text = configuration.text(self._place, self._peers, self._fitness)
        if self._configuration.exists() and self._configuration.read_text() == text:
            return False
        self._configuration.write_text(text)
        self._daemon.log.info("peers", addresses=self._peers)
        return True

    def _write_fitness(self, worth: int) -> None:
        if worth != self._worth:
            self._fitness.write_text(f"{worth}\n")
            self._daemon.log.info("fitness", worth=worth)
        self._worth = worth


async def _answers(address: str, port: int) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE):
            _, writer = await asyncio.open_connection(address, port)
    except (TimeoutError, OSError):
        return False
    writer.transport.abort()
    return True
