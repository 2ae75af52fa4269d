"""A cluster of machines comes back by itself, with its data, and says clearly what it refuses."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api import resources
from client.command import CommandError, Commands
from tests.lab import documents
from tests.lab.example import IMAGES, ROOT, Example, example
from tests.lab.machines import Machine
from tests.lab.provision import Provided

pytestmark = pytest.mark.timeout(600)
_WHOLE_SECONDS = 120.0


@pytest.fixture
async def app(lab: Provided, tmp_path: Path) -> AsyncIterator[Example]:
    await Commands().run(sys.executable, str(ROOT / "deploy/images/build.py"), timeout=300)
    await lab.load(*IMAGES)
    async with example(lab.lab, tmp_path) as running:
        yield running


async def test_the_example_and_its_data_outlive_reboots_of_a_machine_of_each_kind(lab: Provided, app: Example) -> None:
    before = await app.visit()
    node = (await app.cloudctl("get", "pods", "-l", "tier=redis", "-o", "jsonpath={.items[0].spec.nodeName}")).strip()
    worker = next(machine for machine in lab.lab.machines if machine.name == node)
    for machine in (worker, await lab.lab.etcd_leader()):
        await machine.reboot()
        took = await lab.lab.whole(_WHOLE_SECONDS)
        await app.settled()
        after = await app.visit()
        print(f"\n{machine.role} {machine.name} rebooted: whole again after {took:.1f} s, visit {after}")
        assert after > before
        before = after


async def test_no_unit_is_more_exposed_than_the_documents_say(lab: Provided) -> None:
    assert await documents.worse(lab.lab.of("control-plane")[0]) == []


async def refused(machine: Machine, *words: str) -> str:
    """What a command says that fails; nothing of it may be more than a line, and the machine stays as it was."""
    files = (
        "find",
        "/etc/cloudlet",
        "/var/lib/cloudlet/pki",
        "/etc/systemd/system",
        "-newer",
        "/proc/1/stat",
        "-type",
        "f",
    )
    before = await machine.run(*files)
    with pytest.raises(CommandError) as caught:
        await machine.run("cloudctl", *words, timeout=60)
    assert await machine.run(*files) == before
    lines = [line for line in caught.value.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, caught.value.stderr
    return lines[0]


async def test_a_second_init_or_join_is_refused(lab: Provided) -> None:
    control_plane, worker = lab.lab.of("control-plane")[0], lab.lab.of("worker")[0]
    join = (
        "join",
        f"{control_plane.address}:6443",
        "--token=abcdef.0123456789abcdef",
        f"--ca-cert-hash=sha256:{'0' * 64}",
    )
    assert "already: `cloudctl reset`" in await refused(control_plane, "init")
    assert "already: `cloudctl reset`" in await refused(worker, *join)
    assert "already: `cloudctl reset`" in await refused(worker, "init")


async def test_every_daemon_stops_within_ten_seconds_and_leaves_containers_alone(lab: Provided) -> None:
    worker = lab.lab.of("worker")[0]
    before = await worker.run("docker", "ps", "--quiet", "--no-trunc")
    # Beyond its TimeoutStopSec a unit would be killed, and its result would be `timeout`.
    await worker.run("systemctl", "stop", "cloudlet-kubelet", "cloudlet-proxy", timeout=30)
    results = await worker.run(
        "systemctl", "show", "--property=Result", "--value", "cloudlet-kubelet", "cloudlet-proxy"
    )
    assert results.split() == ["success", "success"]
    assert await worker.run("docker", "ps", "--quiet", "--no-trunc") == before
    await worker.run("systemctl", "start", "cloudlet-kubelet", "cloudlet-proxy", timeout=90)
    await lab.lab.whole(_WHOLE_SECONDS)


async def test_a_worker_that_was_reset_is_as_it_was_and_joins_again(lab: Provided) -> None:
    first, worker = lab.lab.of("control-plane")[0], lab.lab.of("worker")[-1]
    await worker.run("systemctl", "start", "cloudlet.target", timeout=90)  # as after a boot
    await worker.run("cloudctl", "reset", timeout=120)
    for folder in ("/etc/cloudlet", "/var/lib/cloudlet"):
        assert not (await worker.run("find", "/etc", "/var/lib", "-path", f"{folder}/*")).split(), folder
    assert not (await worker.run("find", "/etc/systemd/system", "-name", "cloudlet*")).split()
    assert not (await worker.run("systemctl", "list-units", "--all", "--plain", "--no-legend", "cloudlet*")).split()
    assert not (await worker.run("docker", "ps", "--all", "--quiet")).split()
    assert not (await worker.run("ip", "-4", "route", "show", "proto", "117")).split()
    assert "table inet cloudlet" not in await worker.run("nft", "list", "tables")

    async with lab.lab.client() as client:
        await client.delete(resources.NODES, worker.name)
    invitation = json.loads(await first.run("cloudctl", "token", "create", "-o", "json"))
    await worker.run(*invitation["join"].split(), timeout=_WHOLE_SECONDS)
    await lab.lab.whole(_WHOLE_SECONDS)
