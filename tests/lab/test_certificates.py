"""Certificates that live for little more than a minute: all pass their point of renewal while clients work, and nobody notices.

That is what a clock that is set past it does, without touching the clock, which all containers of a host share.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api import resources, timestamp
from client.backoff import Backoff
from client.command import CommandError
from cloudctl.wait import Scope, until
from tests import images
from tests.lab import provision
from tests.lab.machines import Machine
from tests.lab.provision import INVENTORY, Provided
from tests.lab.steady import Steady
from tests.lab.test_restore import running

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.long,
    pytest.mark.skipif(INVENTORY in os.environ, reason="it needs a cluster with certificates of its own"),
]
CLUSTER, LIFE = "certs", 75
EXISTING = "CLOUDLET_CERTIFICATES_LAB"
"""The name of a cluster with such certificates that is there already."""
_UNITS = "cloudlet-etcd cloudlet-apiserver cloudlet-controllers cloudlet-scheduler cloudlet-cloud cloudlet-kubelet cloudlet-proxy"
POD = {
    "metadata": {"name": "witness", "namespace": "default"},
    "spec": {
        "terminationGracePeriodSeconds": 1,
        "containers": [{
            "name": "main", "image": images.BUSYBOX,
            "command": ["/bin/busybox", "sh", "-c", "echo here; exec busybox sleep 100000"],
        }],
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def short() -> Iterator[str]:
    """A control plane and a worker."""
    if name := os.environ.get(EXISTING, ""):
        yield name
        return
    settings = json.dumps({"cluster": {"certificateSeconds": LIFE}})
    with provision.created(CLUSTER, control_planes=1, workers=1, settings=settings):
        yield CLUSTER


class Machines:
    """The two machines, and what is looked at on them."""

    def __init__(self, given: Provided) -> None:
        self.lab = given.lab
        [self.control_plane], [self.worker] = given.lab.of("control-plane"), given.lab.of("worker")

    async def certificates(self) -> dict[str, dict[str, Any]]:
        """What `cloudctl certs` says, by machine and name."""
        found: dict[str, dict[str, Any]] = {}
        for machine in (self.control_plane, self.worker):
            try:
                text = await machine.run("cloudctl", "certs", "-o", "json")
            except CommandError as error:
                text = error.stdout
            found |= {f"{machine.name} {entry['name']}": entry for entry in json.loads(text)}
        return found

    async def processes(self) -> dict[str, str]:
        """The daemons' processes and the pods' containers: none may be started anew."""
        found = {}
        for machine in (self.control_plane, self.worker):
            found[f"{machine.name} daemons"] = await machine.run(
                "systemctl", "show", "-p", "Id,MainPID", *_UNITS.split()
            )
            found[f"{machine.name} containers"] = await containers(machine)
        return found


async def containers(machine: Machine) -> str:
    return await machine.run("docker", "ps", "--quiet", "--no-trunc", "--filter=label=io.cloudlet.kind")


@pytest.fixture
async def machines(short: str) -> Machines:
    """The whole cluster, with a pod on the worker."""
    found = Machines(await provision.from_containers(short))
    await found.lab.whole(60)
    async with found.lab.client() as client:
        if not (await client.list(resources.PODS, "default"))["items"]:
            await client.create(resources.PODS, POD)
        await until(client, Scope.one(resources.PODS, "witness", "default"), running, 60)
    return found


async def test_no_request_fails_while_every_certificate_is_renewed(machines: Machines, tmp_path: Path) -> None:
    first, processes = await machines.certificates(), await machines.processes()
    leaves = {name: entry for name, entry in first.items() if _short(entry)}
    assert len(leaves) >= 14
    ends = _last(leaves)
    async with Steady(machines.control_plane, tmp_path, "witness") as clients:
        await _passed(ends)
        now = await machines.certificates()
    print(
        f"\n{clients.done} in the life of {len(leaves)} certificates of {LIFE} s; failures: {clients.failures or 'none'}"
    )
    assert {name for name in leaves if now[name]["notAfter"] == leaves[name]["notAfter"]} == set()
    assert {entry["state"] for entry in now.values()} <= {"ok", "due"}
    assert clients.failures == [] and clients.done["events"] == clients.done["writes"] > 100 < clients.done["logs"]
    assert await machines.processes() == processes


async def test_no_request_fails_while_the_authority_is_replaced(machines: Machines, tmp_path: Path) -> None:
    processes, before = await machines.processes(), await machines.certificates()
    rotate = ("cloudctl", "certs", "rotate-ca")
    async with Steady(machines.control_plane, tmp_path, "witness") as clients:
        await machines.control_plane.run(*rotate, "start")
        for step in ("switch", "finish"):
            await _once_all_follow(machines.control_plane, *rotate, step)
        await asyncio.sleep(5)  # for the clients: what was trusted before is no longer
        after = await machines.certificates()
    print(f"\n{clients.done} while the authority was replaced; failures: {clients.failures or 'none'}")
    for machine in (machines.control_plane.name, machines.worker.name):
        assert f"{machine} ca (2)" not in after
        assert after[f"{machine} ca"]["notBefore"] > before[f"{machine} ca"]["notBefore"]
    assert clients.failures == [] and clients.done["logs"] > 20
    assert await machines.processes() == processes


async def _once_all_follow(machine: Machine, *words: str, seconds: float = 90) -> None:
    """Repeat a step until no machine is behind, as it asks for."""
    backoff = Backoff(0.5, 3.0)
    async with asyncio.timeout(seconds):
        while True:
            try:
                await machine.run(*words, timeout=60)
            except CommandError as error:
                if "Repeat this in a moment" not in error.stderr:
                    raise
                await asyncio.sleep(backoff.next())
            else:
                return


async def test_a_cluster_whose_certificates_have_all_expired_is_revived(machines: Machines) -> None:
    both = (machines.control_plane, machines.worker)
    running_before = [await containers(machine) for machine in both]
    await machines.control_plane.run("systemctl", "stop", "cloudlet-certs.timer")
    for machine in both:
        await machine.run("systemctl", "stop", "cloudlet-kubelet")
    await _passed(_last(await machines.certificates()))
    assert {entry["state"] for entry in (await machines.certificates()).values() if _short(entry)} == {"expired"}
    await machines.control_plane.run("systemctl", "start", "--no-block", "cloudlet-kubelet")

    said = await machines.control_plane.run("cloudctl", "certs", "revive", timeout=150)
    [line] = [line for line in said.splitlines() if line.startswith("  cloudctl certs revive")]
    await machines.worker.run(*line.split(), timeout=150)
    await machines.control_plane.run("systemctl", "start", "cloudlet-certs.timer")
    fresh = Machines(await provision.from_containers(machines.control_plane.name.removesuffix("-control-plane-1")))
    print(f"\nwhole {await fresh.lab.whole(60):.1f} s after the revival")
    assert [await containers(machine) for machine in both] == running_before
    assert {entry["state"] for entry in (await machines.certificates()).values()} <= {"ok", "due"}


def _last(entries: dict[str, dict[str, Any]]) -> str:
    return max(str(entry["notAfter"]) for entry in entries.values() if _short(entry))


async def _passed(moment: str) -> None:
    """Only time itself ends certificates."""
    left = (timestamp.parse(moment) - datetime.datetime.now(datetime.UTC)).total_seconds()
    await asyncio.sleep(max(left, 0) + 1)


def _short(entry: dict[str, Any]) -> bool:
    return entry["purpose"] not in ("signs", "trusted, too")
