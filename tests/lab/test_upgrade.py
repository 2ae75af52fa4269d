"""A cluster changes to another release, machine by machine, while clients work and pods run; and says what it refuses."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from api import resources
from client.command import CommandError, Commands
from cloudctl.machine.upgrade.apply import members
from cloudctl.machine.upgrade.release import Version
from tests.lab import history
from tests.lab.cluster import Lab
from tests.lab.demanding import Demands
from tests.lab.example import ROOT
from tests.lab.machines import Machine
from tests.lab.provision import Provided
from tests.lab.recorder import Recorder

pytestmark = [pytest.mark.timeout(600), pytest.mark.long]
_PACKAGES = ("api", "client", "apiserver", "controllers", "scheduler", "kubelet", "proxy", "cloudctl", "deploy")
_FILES = ("pyproject.toml", "README.md", "LICENSE")
_UPGRADE_SECONDS, _WHOLE_SECONDS = 240.0, 120.0
_UNIT = "lab-upgrade"


def name_of(version: Version) -> str:
    return f"cloudlet-{version}-py3-none-any.whl"


async def build(version: Version, folder: Path) -> Path:
    """A wheel of this tree that calls itself `version`."""
    tree = folder / "tree"
    for package in _PACKAGES:
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in _FILES:
        shutil.copy(ROOT / file, tree)
    about = tree / "api" / "version.py"
    about.write_text(re.sub(r'^CLOUDLET = ".*"$', f'CLOUDLET = "{version}"', about.read_text(), flags=re.MULTILINE))
    line = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", f"--wheel-dir={folder}", str(tree))
    await Commands().run(*line, timeout=120)
    return folder / name_of(version)


def pretend(version: Version, folder: Path) -> Path:
    """A wheel that says what it is and has nothing in it."""
    path = folder / name_of(version)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"cloudlet-{version}.dist-info/METADATA", f"Name: cloudlet\nVersion: {version}\n")
    return path


async def put(machine: Machine, path: Path) -> str:
    """Copy a file to a machine; returns where it is there."""
    target = f"/root/{path.name}"
    data = await asyncio.to_thread(path.read_bytes)
    await machine.run("dd", f"of={target}", "status=none", stdin=data)
    return target


async def upgrade(machine: Machine, verb: str, wheel: str) -> str:
    """What `cloudctl upgrade` says. Raises CommandError."""
    return await machine.run("sh", "-c", 'cloudctl upgrade "$1" "$2" 2>&1', "sh", verb, wheel, timeout=_UPGRADE_SECONDS)


async def complaint(machine: Machine, verb: str, wheel: str) -> str:
    """The one line with which it refuses."""
    with pytest.raises(CommandError) as caught:
        await upgrade(machine, verb, wheel)
    [line] = [line for line in caught.value.stdout.splitlines() if line.startswith("error: ")]
    return line


async def versions(lab: Lab) -> dict[str, Version]:
    async with lab.client() as client:
        return {member.name: member.version for member in await members(client)}


async def containers(lab: Lab) -> dict[str, str]:
    """Every pod's running containers, by machine."""
    return {machine.name: await machine.run("docker", "ps", "--quiet", "--no-trunc") for machine in lab.machines}


@asynccontextmanager
async def pods(lab: Lab, image: str, namespace: str, count: int) -> AsyncIterator[None]:
    """A Deployment whose pods all run."""
    container = {"name": "main", "image": image, "command": ["sleep", "100000"]}
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    template = {"metadata": {"labels": {"app": "steady"}}, "spec": spec}
    deployment = {
        "metadata": {"name": "steady"},
        "spec": {"replicas": count, "selector": {"matchLabels": {"app": "steady"}}, "template": template},
    }
    async with lab.client() as client:
        await client.create(resources.DEPLOYMENTS, deployment, namespace)
        async for event in client.watch(resources.DEPLOYMENTS, namespace, timeout_seconds=60):
            if (event["object"].get("status") or {}).get("readyReplicas") == count:
                break
        yield


async def interrupt(machine: Machine, wheel: str) -> None:
    """Begin an upgrade and kill everything of it as soon as the API server has been told to stop."""
    begin = ("systemd-run", "--quiet", "--collect", f"--unit={_UNIT}", "cloudctl", "upgrade", "apply", wheel)
    await machine.run(*begin)
    lines = machine.follow("journalctl", "--follow", "--lines=0", "--output=cat", "--unit=cloudlet-apiserver")
    async for line in lines:
        if line.startswith("Stopping"):
            break
    await machine.run("systemctl", "kill", "--signal=KILL", _UNIT)


async def test_a_rolling_upgrade_costs_no_request_no_write_and_no_container(lab: Provided, tmp_path: Path) -> None:
    cluster = lab.lab
    await cluster.whole(_WHOLE_SECONDS)
    planes, workers = cluster.of("control-plane"), cluster.of("worker")
    present = max((await versions(cluster)).values())
    target = Version(present.major, present.minor + 1, 0)
    wheel = await build(target, tmp_path)
    paths = {machine.name: await put(machine, wheel) for machine in cluster.machines}
    plan = await upgrade(planes[0], "plan", paths[planes[0].name])
    todo = [line.split()[1].rstrip(":") for line in plan.splitlines() if line.startswith("  on ")]
    assert todo == sorted(machine.name for machine in planes) + sorted(machine.name for machine in workers)

    async with cluster.namespace("lab") as namespace, pods(cluster, lab.image, namespace, 4):
        before = await containers(cluster)
        demands = Demands(cluster.config, namespace)
        async with Recorder(cluster.config, namespace, rate=10.0) as recorder, demands.made():
            for number, machine in enumerate(planes):
                if number == 1:
                    await interrupt(machine, paths[machine.name])
                print(await upgrade(machine, "apply", paths[machine.name]))
                assert (await versions(cluster))[machine.name] == target
            for machine in workers:
                print(await upgrade(machine, "node", paths[machine.name]))
            assert set((await versions(cluster)).values()) == {target}
            recorded = await recorder.finish()
        print(f"{demands.done} in {recorder.ended - recorder.began:.0f} s, the slowest took {demands.slowest:.2f} s")
        assert demands.failures == []
        assert history.check(recorded) == []
        assert await containers(cluster) == before
    for machine, verb in ((planes[-1], "apply"), (workers[-1], "node")):
        assert "nothing to do" in await upgrade(machine, verb, paths[machine.name])
    await cluster.whole(_WHOLE_SECONDS)


async def test_what_may_not_follow_is_refused(lab: Provided, tmp_path: Path) -> None:
    plane, worker = lab.lab.of("control-plane")[0], lab.lab.of("worker")[0]
    now = (await versions(lab.lab))[plane.name]
    far, late = Version(now.major, now.minor + 2, 0), Version(now.major, now.minor - 1, 9)
    (tmp_path / "notes.whl").write_text("no archive")
    assert "more than one minor version" in await complaint(plane, "apply", await put(plane, pretend(far, tmp_path)))
    assert "already" in await complaint(plane, "apply", await put(plane, pretend(late, tmp_path)))
    assert "is no wheel" in await complaint(plane, "apply", await put(plane, tmp_path / "notes.whl"))
    following = pretend(Version(now.major, now.minor + 1, 0), tmp_path)
    assert "control planes come first" in await complaint(worker, "node", await put(worker, following))
    assert "this machine is a worker" in await complaint(worker, "apply", f"/root/{following.name}")
    assert "this machine is a control plane" in await complaint(plane, "node", f"/root/{following.name}")
