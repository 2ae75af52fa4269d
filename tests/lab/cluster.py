"""A cluster of machines as the fault tests see it: who is where, who leads, and when it is whole again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import structlog

from api import meta, resources
from api.errors import ApiError
from api.types import Object
from client.backoff import Backoff
from client.clock import Clock, RealClock
from client.command import CommandError
from client.kubeconfig import Kubeconfig
from client.rest import ApiClient
from tests.lab.machines import Machine

log = structlog.get_logger("lab")

HOME = "/var/lib/cloudlet"
_METRICS = """
import ssl, sys, urllib.request
address, pki = sys.argv[1:]
context = ssl.create_default_context(cafile=pki + "/ca.crt")
context.load_cert_chain(pki + "/apiserver-client.crt", pki + "/apiserver-client.key")
with urllib.request.urlopen("https://" + address + ":2379/metrics", context=context, timeout=5) as answer:
    lines = answer.read().decode().splitlines()
sys.exit(0 if "etcd_server_is_leader 1" in lines else 3)
"""
"""What the machine's own Python runs to learn whether its etcd leads: 0 when it does, 3 when it does not."""


class NotWhole(Exception):
    """The cluster did not come back in time; the text says what is missing."""


@dataclass
class Lab:
    """The machines and how to reach the cluster's API."""

    machines: Sequence[Machine]
    config: Kubeconfig
    clock: Clock = field(default_factory=RealClock)

    def of(self, role: str) -> list[Machine]:
        """The machines of a role, in the inventory's order."""
        return [machine for machine in self.machines if machine.role == role]

    def client(self) -> ApiClient:
        """A client of all API servers; the caller closes it."""
        return ApiClient(self.config, "lab")

    @asynccontextmanager
    async def namespace(self, prefix: str) -> AsyncIterator[str]:
        """A new namespace; deleted at the end, without waiting for that. Raises ApiError."""
        async with self.client() as client:
            made = await client.create(resources.NAMESPACES, {"metadata": {"generateName": f"{prefix}-"}})
            try:
                yield meta.name(made)
            finally:
                with suppress(ApiError):
                    await client.delete(resources.NAMESPACES, meta.name(made))

    async def holder(self, lease: str) -> Machine:
        """The control plane whose daemon holds a Lease of kube-system. Raises LookupError, ApiError."""
        async with self.client() as client:
            found = await client.get(resources.LEASES, lease, "kube-system")
        identity = str((found.get("spec") or {}).get("holderIdentity", ""))
        for machine in self.of("control-plane"):
            if identity.rpartition("_")[0] == machine.name:
                return machine
        raise LookupError(f"the Lease {lease} is held by {identity or 'nobody'}, which is none of the machines")

    async def etcd_leader(self) -> Machine:
        """The control plane whose etcd member leads. Raises LookupError when none says that it does."""
        for machine in self.of("control-plane"):
            try:
                await machine.run("python3", "-", machine.address, f"{HOME}/pki/etcd", stdin=_METRICS.encode())
            except CommandError:
                continue
            return machine
        raise LookupError("no etcd member leads")

    async def etcd_follower(self) -> Machine:
        """A control plane whose etcd member does not lead; the only one if there is but one. Raises LookupError."""
        leader = await self.etcd_leader()
        return next((m for m in self.of("control-plane") if m is not leader), leader)

    async def networks(self, machine: Machine) -> list[str]:
        """A machine's address, and the ranges of its pods, whose packets carry their own addresses."""
        async with self.client() as client:
            node = await client.get(resources.NODES, machine.name)
        return [machine.address, *(node.get("spec") or {}).get("podCIDRs", ())]

    async def whole(self, seconds: float) -> float:
        """Wait until every API server is ready and every node is Ready; how long that took. Raises NotWhole."""
        began = self.clock.now()
        missing = "nothing was asked yet"
        backoff = Backoff(0.1, 0.5)
        try:
            async with asyncio.timeout(seconds):
                while missing:
                    before, missing = missing, await self._missing()
                    if missing:
                        if missing != before:
                            log.info("not whole yet", missing=missing, seconds=round(self.clock.now() - began, 1))
                        await self.clock.sleep(backoff.next())
        except TimeoutError:
            raise NotWhole(f"not whole after {seconds:g} s: {missing}") from None
        return self.clock.now() - began

    async def _missing(self) -> str:
        """What is not there yet, in words; empty when the cluster is whole. Readiness is no event, so it is asked."""
        try:
            async with asyncio.timeout(5):
                await asyncio.gather(*(_ready(self.config, server) for server in self.config.servers))
                async with self.client() as client:
                    nodes = await client.list(resources.NODES)
        except ApiError as error:
            return error.message
        except TimeoutError:
            return "an API server says nothing"
        ready = {meta.name(node) for node in nodes["items"] if _is_ready(node)}
        if absent := [machine.name for machine in self.machines if machine.name not in ready]:
            return f"not Ready: {', '.join(absent)}"
        # A node that lost its power is called Ready for a while, so its machine is asked too.
        return "; ".join(filter(None, await asyncio.gather(*map(_units, self.machines))))


async def _ready(config: Kubeconfig, server: str) -> None:
    async with ApiClient(replace(config, servers=[server]), "lab") as client:
        await client.raw("GET", "/readyz")


def _is_ready(node: Object) -> bool:
    condition = meta.get_condition(node, "Ready")
    return condition is not None and condition.get("status") == "True"


async def _units(machine: Machine) -> str:
    """The machine's units that are on their way, or failed; in words."""
    try:
        await machine.run("systemctl", "is-active", "--quiet", "docker", "cloudlet-kubelet", timeout=10)
        broken = await machine.run(
            "systemctl", "list-units", "--plain", "--no-legend", "--state=activating,deactivating,failed", "cloudlet-*",
            timeout=10,
        )  # fmt: skip
    except CommandError as error:
        return f"{machine.name}: {error}"
    names = [line.split()[0] for line in broken.splitlines() if line.strip()]
    return f"{machine.name}: {', '.join(names)} not active" if names else ""
