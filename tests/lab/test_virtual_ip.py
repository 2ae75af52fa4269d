"""The virtual IP: a plain kubectl, which knows one server, works again within three seconds wherever the address was."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from client import kubeconfig
from client.command import CommandError, Commands
from tests.lab.cluster import HOME, Lab
from tests.lab.machines import Machine
from tests.lab.provision import Provided

pytestmark = [pytest.mark.timeout(300), pytest.mark.long]
_WHOLE_SECONDS = 120.0
_PROMISE = 3.0
_INTERVAL, _TRY_SECONDS = 0.25, 2.0
_WATCHED_SECONDS = 6.0
_KUBECTL = Path(sys.executable).parent / "kubectl"
Fault = Callable[[Machine], Awaitable[object]]


@dataclass(frozen=True)
class Try:
    """A kubectl: when it began and ended, in monotonic seconds, and whether it got its answer."""

    began: float
    ended: float
    succeeded: bool


@dataclass
class Address:
    """The virtual IP of a lab, and a kubeconfig that leads there alone."""

    lab: Lab
    ip: str
    config: Path

    async def holders(self) -> list[Machine]:
        """Who has it: one, except while it moves."""
        found = []
        for machine in self.lab.of("control-plane"):
            try:
                shown = await machine.run("ip", "-4", "-oneline", "address", "show", "to", f"{self.ip}/32")
            except CommandError:
                continue
            found += [machine] if shown.strip() else []
        return found

    async def holder(self) -> Machine:
        [machine] = await self.holders()
        return machine

    async def kubectl(self) -> bool:
        """Whether one gets an answer. Each is a program of its own, and makes a connection of its own."""
        line = (str(_KUBECTL), f"--kubeconfig={self.config}", f"--request-timeout={_TRY_SECONDS:g}s")
        return await Commands().succeeds(*line, "get", "--raw", "/api/v1/namespaces/kube-system", timeout=5)

    @asynccontextmanager
    async def asked(self) -> AsyncIterator[list[Try]]:
        """Begin a kubectl every quarter of a second, whether or not earlier ones have ended; all have ended afterwards."""
        tries: list[Try] = []

        async def one() -> None:
            began = time.monotonic()
            succeeded = await self.kubectl()
            tries.append(Try(began, time.monotonic(), succeeded))

        async def keep_on(group: asyncio.TaskGroup) -> None:
            while True:
                group.create_task(one())
                await asyncio.sleep(_INTERVAL)

        async with asyncio.TaskGroup() as group:
            asking = group.create_task(keep_on(group))
            yield tries
            asking.cancel()


def outage(tries: list[Try], since: float) -> float:
    """Seconds until a kubectl has answered after whose beginning none failed; 0 when none failed at all."""
    failed = [one.began for one in tries if not one.succeeded and one.began >= since - _TRY_SECONDS]
    if not failed:
        return 0.0
    return min(one.ended for one in tries if one.succeeded and one.began > max(failed)) - since


@pytest.fixture
async def address(lab: Provided, tmp_path: Path) -> Address:
    plane = lab.lab.of("control-plane")[0]
    path = tmp_path / "admin.kubeconfig"
    path.write_text(await plane.run("cat", f"{HOME}/admin.kubeconfig"))
    server = str(kubeconfig.read(path)["clusters"][0]["cluster"]["server"])
    if server in kubeconfig.load(path).servers:
        pytest.skip("this lab has no virtual IP")
    await lab.lab.whole(_WHOLE_SECONDS)
    return Address(lab.lab, server.removeprefix("https://").rpartition(":")[0], path)


async def stop(machine: Machine) -> None:
    await machine.run("systemctl", "stop", "cloudlet-apiserver")


async def hang(machine: Machine) -> None:
    await machine.run("systemctl", "kill", "--signal=STOP", "cloudlet-apiserver")


async def resume(machine: Machine) -> None:
    await machine.run("systemctl", "kill", "--signal=CONT", "cloudlet-apiserver")
    await machine.run("systemctl", "restart", "cloudlet-apiserver", timeout=90)


async def start(machine: Machine) -> None:
    await machine.run("systemctl", "start", "cloudlet-apiserver", timeout=90)


async def boot(machine: Machine) -> None:
    await machine.start()


async def off(machine: Machine) -> None:
    await machine.kill()


@pytest.mark.parametrize(
    ("what", "happens", "healed"),
    [("API server stopped", stop, start), ("API server hangs", hang, resume), ("machine without power", off, boot)],
)
async def test_a_plain_kubectl_works_again_and_the_address_does_not_return(
    address: Address, what: str, happens: Fault, healed: Fault
) -> None:
    holder = await address.holder()
    assert await address.kubectl()
    try:
        async with address.asked() as tries:
            since = time.monotonic()
            await happens(holder)
            await asyncio.sleep(_WATCHED_SECONDS)
        took = outage(tries, since)
        failed = sum(not one.succeeded for one in tries)
        print(f"\nvirtual IP, {what}: kubectl works again after {took:.1f} s; {failed} of {len(tries)} failed")
        assert took <= _PROMISE
        taker = await address.holder()
        assert taker is not holder
    finally:
        await healed(holder)
    async with address.asked() as tries:
        await address.lab.whole(_WHOLE_SECONDS)
    assert all(one.succeeded for one in tries)
    assert await address.holder() is taker
