"""The pod network of one node: a bridge, an address and a veth pair per sandbox, all made with ip(8).

Addresses come from the node's `spec.podCIDR`; the bridge has the first. The address of a sandbox is also a label of its
container, so nothing but Docker needs to be asked after a restart. A sandbox that ends takes its network namespace, and
with it its veth pair, along.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from client.command import CommandError, Commands

_MTU = 1500
_SYSFS = Path("/sys/class/net")


class NetworkFault(Exception):
    """The pod network could not be set up; the text is for people."""


class AddressPool:
    """Addresses of one range, given out in a ring so that a freed one rests as long as possible. Pure."""

    def __init__(self, cidr: str) -> None:
        self.range = ipaddress.ip_network(cidr)
        first = int(self.range.network_address)
        self.gateway = str(self.range[1])
        self._first, self._last = first + 2, first + self.range.num_addresses - 2
        self._next = self._first
        self._used: set[int] = set()

    def reserve(self, address: str) -> None:
        """Mark an address that is in use already."""
        number = int(ipaddress.ip_address(address))
        self._used.add(number)
        if self._first <= number < self._last:
            self._next = max(self._next, number + 1)

    def take(self) -> str:
        """A free address. Raises NetworkFault when there is none."""
        for _ in range(self._last - self._first + 1):
            number = self._next
            self._next = number + 1 if number < self._last else self._first
            if number not in self._used:
                self._used.add(number)
                return str(ipaddress.ip_address(number))
        raise NetworkFault(f"no free address in {self.range}")

    def free(self, address: str) -> None:
        """Give an address back."""
        self._used.discard(int(ipaddress.ip_address(address)))


def bridge_name(node: str) -> str:
    """The bridge of a node: several kubelets of one machine have one each."""
    return f"clb-{hashlib.sha256(node.encode()).hexdigest()[:8]}"


def veth_name(sandbox_id: str) -> str:
    """The host's end of a sandbox's pair (an interface name has at most 15 characters)."""
    return f"clv{sandbox_id[:12]}"


class PodNetwork(Protocol):
    """What a sandbox needs from the network."""

    @property
    def ready(self) -> bool: ...

    def take(self) -> str:
        """A free pod address. Raises NetworkFault."""
        ...

    def free(self, address: str) -> None: ...

    async def attach(self, sandbox_id: str, pid: int, address: str) -> None:
        """Wire a running sandbox; safe to repeat. Raises NetworkFault."""
        ...

    def is_attached(self, sandbox_id: str) -> bool:
        """Whether a sandbox was wired, in this life of the kubelet or an earlier one."""
        ...


class BridgeNetwork:
    """The real thing. `configure` must have been called with the node's range before a sandbox is wired."""

    def __init__(self, node: str, commands: Commands | None = None) -> None:
        self.bridge = bridge_name(node)
        self._commands = commands or Commands()
        self._pool: AddressPool | None = None

    @property
    def ready(self) -> bool:
        return self._pool is not None

    @property
    def cidr(self) -> str:
        """The range in use, or an empty string."""
        return str(self._pool.range) if self._pool else ""

    async def configure(self, cidr: str, in_use: Iterable[str]) -> None:
        """Make the bridge and the pool. Raises NetworkFault."""
        pool = AddressPool(cidr)
        for address in in_use:
            pool.reserve(address)
        if not (_SYSFS / self.bridge).exists():
            await self._ip([f"link add {self.bridge} mtu {_MTU} type bridge"])
        await self._ip(
            [
                f"addr replace {pool.gateway}/{pool.range.prefixlen} dev {self.bridge}",
                f"link set {self.bridge} up",
            ]
        )
        self._pool = pool

    def _need_pool(self) -> AddressPool:
        if self._pool is None:
            raise NetworkFault("network is not ready: the node has no podCIDR yet")
        return self._pool

    def take(self) -> str:
        return self._need_pool().take()

    def free(self, address: str) -> None:
        if self._pool and address and ipaddress.ip_address(address) in self._pool.range:
            self._pool.free(address)

    async def attach(self, sandbox_id: str, pid: int, address: str) -> None:
        pool, veth = self._need_pool(), veth_name(sandbox_id)
        pair = f"link add {veth} mtu {_MTU} type veth peer name eth0 mtu {_MTU} netns {pid}"
        join = [f"link set {veth} master {self.bridge} up", f"link set dev {veth} type bridge_slave hairpin on"]
        try:
            await self._ip(join if self.is_attached(sandbox_id) else [pair, *join])
        except NetworkFault:
            # An earlier life's ip(8) may have been at it a moment ago.
            if not self.is_attached(sandbox_id):
                raise
            await self._ip(join)
        await self._ip(
            [
                "link set lo up",
                f"addr replace {address}/{pool.range.prefixlen} dev eth0",
                "link set eth0 up",
                f"route replace default via {pool.gateway}",
            ],
            pid,
        )

    def is_attached(self, sandbox_id: str) -> bool:
        return (_SYSFS / veth_name(sandbox_id)).exists()

    async def remove(self) -> None:
        """Take the bridge away (the node leaves the machine)."""
        if (_SYSFS / self.bridge).exists():
            await self._ip([f"link del {self.bridge}"])

    async def _ip(self, lines: list[str], pid: int = 0) -> None:
        inside = ("nsenter", f"--net=/proc/{pid}/ns/net") if pid else ()
        try:
            await self._commands.run(*inside, "ip", "-batch", "-", stdin=("\n".join(lines) + "\n").encode(), timeout=10)
        except CommandError as error:
            raise NetworkFault(str(error)) from error
