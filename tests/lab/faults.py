"""What can be taken from a cluster: one small step each, in the table `FAULTS`, as async context managers.

On the way in the fault happens, while inside it lasts, on the way out it is healed; what the cluster must mend by itself, such as
a killed daemon, is not healed. To add one, write such a function and its row. A fault that cannot be had on a machine raises
Impossible. Nothing here moves a machine's clock or touches the control channel.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from client.command import CommandError
from tests.lab import clocks, disks
from tests.lab.machines import Machine

Trait = Literal["unit", "python", "disk", "vm"]
"""What a fault needs of its target: a systemd unit, one of our own daemons, a unit with data on disk, a whole machine."""
_UNIT_SECONDS = 120.0
_LOSS_PERCENT, _DELAY_MILLISECONDS = 30, 200


class Impossible(Exception):
    """This machine cannot have this fault; the text says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a fault hits: a unit of a machine, or with an empty `unit` the machine. `others` are the other machines' networks."""

    machine: Machine
    unit: str = ""
    others: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.unit} on {self.machine.name}" if self.unit else self.machine.name


async def _signal(target: Target, name: str, whom: str) -> None:
    await target.machine.run("systemctl", "kill", f"--signal={name}", f"--kill-whom={whom}", target.unit)


@asynccontextmanager
async def kill(target: Target) -> AsyncIterator[None]:
    """kill -9 of the main process; systemd starts it again."""
    await _signal(target, "KILL", "main")
    yield


@asynccontextmanager
async def pause(target: Target) -> AsyncIterator[None]:
    """SIGSTOP for all its processes, then SIGCONT: alive for the kernel and its peers' connections, and silent."""
    await _signal(target, "STOP", "all")
    try:
        yield
    finally:
        await _signal(target, "CONT", "all")


@asynccontextmanager
async def restart(target: Target) -> AsyncIterator[None]:
    """`systemctl restart`."""
    await _clear_start_limit(target)
    await target.machine.run("systemctl", "restart", target.unit, timeout=_UNIT_SECONDS)
    yield


@asynccontextmanager
async def stop(target: Target) -> AsyncIterator[None]:
    """`systemctl stop`, then start."""
    await _clear_start_limit(target)
    await target.machine.run("systemctl", "stop", target.unit, timeout=_UNIT_SECONDS)
    try:
        yield
    finally:
        await target.machine.run("systemctl", "start", target.unit, timeout=_UNIT_SECONDS)


async def _clear_start_limit(target: Target) -> None:
    """Cases come faster than some units may be started: Docker's three times a minute."""
    await target.machine.run("systemctl", "reset-failed", target.unit)


@asynccontextmanager
async def reboot(target: Target) -> AsyncIterator[None]:
    """In order, services first."""
    await target.machine.reboot()
    yield


@asynccontextmanager
async def power_loss(target: Target) -> AsyncIterator[None]:
    """Off at once, and on again later."""
    await target.machine.kill()
    try:
        yield
    finally:
        await target.machine.start()


_TABLE = "inet lab"
# Created and deleted in one transaction, so that it does not matter whether the table is there.
_NO_TABLE = f"add table {_TABLE}\ndelete table {_TABLE}\n"


def network_rules(others: tuple[str, ...], ways: tuple[str, ...], verdict: str = "drop") -> str:
    """An nftables script that puts a verdict on what comes in from, or goes out to, the given IPv4 addresses and ranges.

    It looks at packets of pods too: before any translation of addresses on the way in, after it on the way out.
    """
    hooks = {"in": ("prerouting", -310, "saddr"), "out": ("postrouting", 110, "daddr")}
    chains = [
        f"  chain {way} {{\n    type filter hook {hook} priority {priority}; policy accept;\n"
        f"    ip {side} {{ {', '.join(others)} }} {verdict}\n  }}"
        for way, (hook, priority, side) in hooks.items()
        if way in ways
    ]
    return "\n".join([f"{_NO_TABLE}table {_TABLE} {{", *chains, "}", ""])


@asynccontextmanager
async def _network(target: Target, script: str) -> AsyncIterator[None]:
    await target.machine.run("nft", "-f", "-", stdin=script.encode())
    try:
        yield
    finally:
        await target.machine.run("nft", "-f", "-", stdin=_NO_TABLE.encode())


def partition(target: Target) -> AbstractAsyncContextManager[None]:
    """No packet between the machine and the others."""
    return _network(target, network_rules(target.others, ("in", "out")))


def deaf(target: Target) -> AbstractAsyncContextManager[None]:
    """What the others send does not arrive; what the machine sends does."""
    return _network(target, network_rules(target.others, ("in",)))


def mute(target: Target) -> AbstractAsyncContextManager[None]:
    """What the machine sends does not arrive; what the others send does."""
    return _network(target, network_rules(target.others, ("out",)))


def loss(target: Target) -> AbstractAsyncContextManager[None]:
    """A share of the packets is lost, both ways."""
    verdict = f"numgen random mod 100 < {_LOSS_PERCENT} drop"
    return _network(target, network_rules(target.others, ("in", "out"), verdict))


@asynccontextmanager
async def delay(target: Target) -> AsyncIterator[None]:
    """Every packet that leaves the machine is late. Needs the kernel's netem."""
    route = (await target.machine.run("ip", "-o", "route", "get", target.others[0].partition("/")[0])).split()
    device = route[route.index("dev") + 1]
    qdisc = ("dev", device, "root", "netem", "delay", f"{_DELAY_MILLISECONDS}ms", f"{_DELAY_MILLISECONDS // 4}ms")
    try:
        await target.machine.run("tc", "qdisc", "add", *qdisc)
    except CommandError as error:
        raise Impossible(f"the kernel has no netem: {error.stderr}") from error
    try:
        yield
    finally:
        await target.machine.run("tc", "qdisc", "del", "dev", device, "root")


@asynccontextmanager
async def full_disk(target: Target) -> AsyncIterator[None]:
    """No byte left where the data stands, which is moved to a small file system of its own for it: two restarts in addition."""
    async with disks.small(target.machine, target.unit) as folder:
        await disks.fill(target.machine, folder)
        yield


@asynccontextmanager
async def slow_disk(target: Target) -> AsyncIterator[None]:
    """A few writes per second, by the kernel's throttle of block devices; the data's journal in the kernel is not slowed."""
    try:
        throttled = disks.throttled(target.machine, target.unit)
        async with throttled:
            yield
    except disks.NoThrottle as error:
        raise Impossible(str(error)) from error


def _clock(seconds: int) -> Callable[[Target], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def jump(target: Target) -> AsyncIterator[None]:
        try:
            jumped = clocks.jumped(target.machine, target.unit, seconds)
            async with jumped:
                yield
        except clocks.NoFaketime as error:
            raise Impossible(str(error)) from error

    return jump


@dataclass(frozen=True, slots=True)
class Fault:
    """A row: what it is called and needs, how long it lasts in seconds, and how it is done."""

    name: str
    needs: Trait
    hold: float
    inject: Callable[[Target], AbstractAsyncContextManager[None]]


FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault("kill", "unit", 3, kill),
        Fault("pause", "unit", 20, pause),
        Fault("restart", "unit", 1, restart),
        Fault("stop", "unit", 10, stop),
        Fault("reboot", "vm", 0, reboot),
        Fault("power-loss", "vm", 15, power_loss),
        Fault("partition", "vm", 20, partition),
        Fault("partition-in", "vm", 20, deaf),
        Fault("partition-out", "vm", 20, mute),
        Fault("packet-loss", "vm", 15, loss),
        Fault("packet-delay", "vm", 15, delay),
        Fault("full-disk", "disk", 15, full_disk),
        Fault("slow-disk", "disk", 15, slow_disk),
        Fault("clock-ahead", "python", 15, _clock(3600)),
        Fault("clock-behind", "python", 15, _clock(-3600)),
    )
}
