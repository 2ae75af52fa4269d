"""A cluster of machines comes back by itself, with its data."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from client.command import Commands
from tests.lab import documents
from tests.lab.example import IMAGES, ROOT, Example, example
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
