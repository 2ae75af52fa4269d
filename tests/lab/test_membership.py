"""A machine joins and leaves, or is refused with one clear line and stays as it was."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from api import resources
from client.command import CommandError
from tests.lab.machines import Machine
from tests.lab.provision import Provided

pytestmark = pytest.mark.timeout(600)
_WHOLE_SECONDS = 120.0
_ARCHIVE = "/root/snapshot.tar.gz"


@dataclass
class Outsider:
    """A worker that has left its cluster; `join` is the command by which it comes back."""

    machine: Machine
    first: Machine
    join: list[str]

    def joining(self, **flags: str) -> list[str]:
        """The command with other values for some of its flags, or with more flags: of two, the last one counts."""
        return [*self.join, *(f"--{name.replace('_', '-')}={value}" for name, value in flags.items())]


@pytest.fixture
async def outsider(lab: Provided) -> AsyncIterator[Outsider]:
    first, worker = lab.lab.of("control-plane")[0], lab.lab.of("worker")[-1]
    await lab.lab.whole(_WHOLE_SECONDS)
    await worker.run("systemctl", "start", "cloudlet.target", timeout=90)  # as after a boot
    await worker.run("cloudctl", "reset", timeout=120)
    try:
        async with lab.lab.client() as client:
            await client.delete(resources.NODES, worker.name)
        invitation = json.loads(await first.run("cloudctl", "token", "create", "-o", "json"))
        yield Outsider(worker, first, invitation["join"].split()[1:])
    finally:
        if not await files(worker, "/var/lib/cloudlet/joined"):
            invitation = json.loads(await first.run("cloudctl", "token", "create", "-o", "json"))
            await worker.run(*invitation["join"].split(), timeout=_WHOLE_SECONDS)
        await lab.lab.whole(_WHOLE_SECONDS)


async def files(machine: Machine, *paths: str) -> str:
    """What matches any of the paths among settings and state, with the times of changes; not what daemons write all the time."""
    skipped = [
        f"/var/lib/{name}" for name in ("docker", "containerd", "cloudlet/etcd", "cloudlet/kubelet", "cloudlet/logs")
    ]
    prune = [word for folder in skipped for word in ("-path", folder, "-prune", "-o")]
    wanted = [word for path in paths for word in ("-o", "-path", path)][1:]
    return await machine.run("find", "/etc", "/var/lib", *prune, "(", *wanted, ")", "-type", "f", "-printf", "%p %T@\n")


async def refused(machine: Machine, *words: str) -> str:
    """What a command says that fails: nothing of it may be more than a line, and the machine stays as it was."""
    watched = ("/etc/*", "/var/lib/cloudlet/*")
    before = await files(machine, *watched)
    with pytest.raises(CommandError) as caught:
        await machine.run("cloudctl", *words, timeout=60)
    assert await files(machine, *watched) == before
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


async def test_a_join_that_cannot_be_is_refused(outsider: Outsider, lab: Provided) -> None:
    machine = outsider.machine
    said = await refused(machine, *outsider.joining(token="abcdef.0123456789abcdef"))
    assert "the token is wrong or has expired: `cloudctl token create`" in said

    said = await refused(machine, *outsider.joining(ca_cert_hash=f"sha256:{'0' * 64}"))
    assert "--ca-cert-hash: the cluster at" in said and "another CA" in said
    assert "64 hexadecimal digits" in await refused(machine, *outsider.joining(ca_cert_hash="sha256:12"))

    taken = lab.lab.of("worker")[0]
    said = await refused(machine, *outsider.joining(node_name=taken.name))
    assert f"has a node {taken.name} already ({taken.address})" in said and "--node-name" in said

    nobody = [word.replace(":6443", ":6444") for word in outsider.join]
    assert "no API server answers at" in await refused(machine, *nobody)

    # One that nobody has used yet: API servers, as Kubernetes', believe a token for ten seconds once they have looked at it.
    invitation = json.loads(await outsider.first.run("cloudctl", "token", "create", "-o", "json"))
    ended_id = invitation["token"].partition(".")[0]
    ended = {"data": {"expiration": base64.b64encode(b"2020-01-01T00:00:00Z").decode()}}
    async with lab.lab.client() as client:
        await client.patch(resources.SECRETS, f"bootstrap-token-{ended_id}", ended, "kube-system")
    assert "the token is wrong or has expired" in await refused(machine, *invitation["join"].split()[1:])


async def test_an_init_with_settings_that_nobody_knows_is_refused(outsider: Outsider) -> None:
    await outsider.machine.run("tee", "/root/init.yaml", stdin=b"nodeNmae: vm-1\ncluster: {podNetwrok: 10.0.0.0/16}\n")
    said = await refused(outsider.machine, "init", "--config", "/root/init.yaml")
    await outsider.machine.run("rm", "/root/init.yaml")
    assert "nodeNmae: unknown key" in said and "cluster.podNetwrok: unknown key" in said


async def test_data_of_another_cluster_is_never_joined(outsider: Outsider) -> None:
    text = await outsider.first.run("cloudctl", "token", "create", "--control-plane", "-o", "json", timeout=60)
    join = json.loads(text)["joinControlPlane"].split()[1:]
    await outsider.machine.run("mkdir", "-p", "/var/lib/cloudlet/etcd/member")
    try:
        said = await refused(outsider.machine, *join)
        assert "perhaps of another cluster" in said and "cloudctl reset" in said
        assert "perhaps of another cluster" in await refused(outsider.machine, "init")
    finally:
        await outsider.machine.run("rm", "-r", "/var/lib/cloudlet/etcd")


async def test_a_damaged_snapshot_is_not_restored(outsider: Outsider) -> None:
    await outsider.first.run("cloudctl", "etcd", "snapshot", "save", _ARCHIVE, timeout=60)
    whole = base64.b64decode(await outsider.first.run("base64", "--wrap=0", _ARCHIVE, timeout=60))
    await outsider.first.run("rm", _ARCHIVE)
    middle = len(whole) // 2
    for damaged in (whole[:middle], whole[:middle] + bytes((whole[middle] ^ 1,)) + whole[middle + 1 :], b""):
        await outsider.machine.run("tee", _ARCHIVE, stdin=damaged)
        said = await refused(outsider.machine, "etcd", "snapshot", "restore", _ARCHIVE)
        assert "snapshot.tar.gz cannot be used" in said
    await outsider.machine.run("rm", _ARCHIVE)


async def test_a_worker_that_was_reset_is_as_it_was_and_joins_again(outsider: Outsider, lab: Provided) -> None:
    worker = outsider.machine
    for folder in ("/etc/cloudlet", "/var/lib/cloudlet"):
        assert not await worker.run("find", "/etc", "/var/lib", "-path", f"{folder}/*"), folder
    assert not await worker.run("find", "/etc/systemd/system", "-name", "cloudlet*")
    assert not await worker.run("systemctl", "list-units", "--all", "--plain", "--no-legend", "cloudlet*")
    assert not await worker.run("docker", "ps", "--all", "--quiet")
    assert not await worker.run("ip", "-4", "route", "show", "proto", "117")
    assert "table inet cloudlet" not in await worker.run("nft", "list", "tables")

    began = lab.lab.clock.now()
    await worker.run("cloudctl", *outsider.join, timeout=_WHOLE_SECONDS)
    print(f"\n{worker.name} joined in {lab.lab.clock.now() - began:.1f} s")
    await lab.lab.whole(_WHOLE_SECONDS)
