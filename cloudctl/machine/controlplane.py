"""The part of init and join that only control planes have: etcd, the API server, and the daemons that need both.

They are systemd's services, or static pods under the kubelet of the machine, as was decided at its init.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from api import resources
from api.errors import ApiError
from client.backoff import Backoff
from client.command import CommandError, Commands
from client.rest import ApiClient
from cloudctl.cluster.flags import Flags, Member
from cloudctl.cluster.state import ClusterError
from cloudctl.machine import certificates, flags, members, node, staticpods
from cloudctl.machine.certs import timer
from cloudctl.machine.etcdctl import EtcdCtlError
from cloudctl.machine.layout import Machine
from cloudctl.machine.systemd import CONTROL_UNITS, VIRTUAL_IP, Systemd
from cloudctl.together import together

_READY_SECONDS = 90.0


class ControlPlane:
    """This machine's. Methods return when what they start serves, and raise ClusterError when it does not."""

    def __init__(self, machine: Machine, systemd: Systemd, commands: Commands) -> None:
        self._machine, self._systemd, self._commands = machine, systemd, commands
        self._static = machine.settings.cluster.control_plane == "static-pods"

    def identity(self, known: list[str]) -> list[str]:
        """Have certificates and kubeconfigs; `known` are the API servers that others found. Returns what was made anew."""
        made = certificates.ensure(self._machine, self.servers(known))
        if self._static:
            # The kubelet comes first, so that there is no API server yet that could sign for it.
            certificates.ensure_kubelet(self._machine, self.servers(known))
        return made

    def servers(self, known: list[str]) -> list[str]:
        """The API servers for this machine's own daemons: its own first, then the others."""
        return [self._machine.server, *(one for one in known if one != self._machine.server)]

    async def prepare(self) -> None:
        """What must be there before the first daemon: for static pods, their image and the kubelet."""
        if self._static:
            node.give_to_user(self._machine)
            await staticpods.load_image(self._commands)
            await node.start_kubelet(self._machine, self._systemd)

    async def etcd(self, member: Member) -> None:
        """Start the store."""
        chosen = flags.etcd(self._machine, member)
        if not self._static:
            flags.write(self._machine, "etcd", chosen)
            node.give_to_user(self._machine)
            await self._systemd.start("etcd")
            return
        staticpods.write(self._machine, "etcd", chosen)
        await self._store_answers()

    async def restart_store(self) -> None:
        """Start the store anew: only then it reads which authorities to trust. Its clients wait meanwhile."""
        if not self._static:
            await self._systemd.restart("etcd")
            return
        try:
            await self._replaced("etcd", await self._containers("etcd"))
        except CommandError as error:
            raise ClusterError(f"etcd's container is not replaced: {error}") from error
        await self._store_answers()

    async def _store_answers(self) -> None:
        store = members.etcd(self._machine, [self._machine.settings.address], self._commands)

        async def answers() -> bool:
            # Not `members`: a learner answers hardly anything else.
            try:
                return bool(await store.status())
            except EtcdCtlError:
                return False

        await _until(answers, "etcd does not answer: see `docker ps -a` and `docker logs` of its container")

    async def apiserver(self) -> None:
        """Start the API server."""
        for daemon, chosen in self._flags().items():
            flags.write(self._machine, daemon, chosen)
        node.give_to_user(self._machine)
        if not self._static:
            await self._systemd.start("apiserver")
            return
        staticpods.write(self._machine, "apiserver", self._flags()["apiserver"])
        await self._serving()

    async def daemons(self) -> None:
        """Start what works on the API. From now on certificates renew themselves."""
        await self._systemd.enable_timer("certs", timer.override(self._machine.settings.cluster.certificate_seconds))
        await self._systemd.enable(self._units)
        if self._static:
            for daemon in ("controllers", "scheduler", "cloud"):
                staticpods.write(self._machine, daemon, self._flags()[daemon])
        await self._systemd.start(*self._units)

    @property
    def _units(self) -> tuple[str, ...]:
        """The services that belong here."""
        address = (VIRTUAL_IP,) if self._machine.settings.cluster.virtual_ip else ()
        return address if self._static else (*CONTROL_UNITS, *address)

    async def restart(self) -> None:
        """Start all but the store anew with the flags and programs of now; the API server first."""
        for daemon, chosen in self._flags().items():
            flags.write(self._machine, daemon, chosen)
        node.give_to_user(self._machine)
        # First the virtual IP goes elsewhere, while the API server still answers.
        await self._systemd.stop(VIRTUAL_IP)
        if self._static:
            await self._replace("apiserver")
            await self._serving()
            await together(self._replace(daemon) for daemon in ("controllers", "scheduler", "cloud"))
        else:
            await self._systemd.restart("apiserver")
            await self._systemd.restart("controllers", "scheduler", "cloud")
        await self._systemd.enable(self._units)
        await self._systemd.start(*self._units)

    async def _replace(self, daemon: str) -> None:
        """Have the kubelet start another container of a static pod; by its manifest if that has changed."""
        before = await self._containers(daemon)
        changed = staticpods.write(self._machine, daemon, self._flags()[daemon])
        await self._replaced(daemon, before, stop=not changed)

    async def _containers(self, daemon: str) -> set[str]:
        return await staticpods.containers(self._commands, self._machine, daemon)

    async def _replaced(self, daemon: str, before: set[str], *, stop: bool = True) -> None:
        """Return when the kubelet has started another container of a static pod than those before, which are stopped first."""
        if stop and before:
            await self._commands.run("docker", "stop", *before, timeout=_READY_SECONDS)

        async def replaced() -> bool:
            now = await self._containers(daemon)
            return bool(now) and now.isdisjoint(before)

        await _until(replaced, f"the kubelet has not started {daemon} anew: see `journalctl -u cloudlet-kubelet`")

    def _flags(self) -> dict[str, Flags]:
        return flags.control_plane(self._machine, [flags.client_url("127.0.0.1")])

    async def _serving(self) -> None:
        async with ApiClient.from_kubeconfig(self._machine.admin_kubeconfig, "cloudctl") as client:
            client.config.servers[:] = [self._machine.server]

            async def ready() -> bool:
                try:
                    await client.raw("GET", "/readyz")
                except ApiError:
                    return False
                return True

            await _until(ready, "the API server does not answer: see `docker ps -a` and `docker logs` of its container")


async def _until(holds: Callable[[], Awaitable[bool]], complaint: str) -> None:
    """Ask until it holds: a container that has started does not say when its program serves."""
    backoff = Backoff(first=0.1, longest=1.0)
    async with _patience(complaint):
        while not await holds():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(backoff.next())


@contextlib.asynccontextmanager
async def _patience(complaint: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_READY_SECONDS):
            yield
    except TimeoutError as error:
        raise ClusterError(f"after {_READY_SECONDS:g} s {complaint}") from error


async def mark(client: ApiClient, machine: Machine) -> None:
    """Give the Node the label of its role, which kubelets may not give themselves."""
    patch = {"metadata": {"labels": {flags.CONTROL_PLANE_LABEL: ""}}}
    await client.patch(resources.NODES, machine.name, patch, field_manager="cloudctl")
