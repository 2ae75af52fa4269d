"""The kubelet's smaller parts: addresses, limits, admission, probes, back-off, images, the store, files, simulated nodes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from api.types import Object
from api.volumes import attachment_name, claim_name
from client.clock import FakeClock
from kubelet import admission, docker_config, docker_parse, grpc_probe, remote_command, security, stages, static_pods
from kubelet.fake_runtime import FakeRuntime
from kubelet.handlers import Outcome, Target
from kubelet.images import ImageFault, Images
from kubelet.machine import parse_meminfo
from kubelet.network import AddressPool, NetworkFault, bridge_name, veth_name
from kubelet.node import NodeState, differs, node_object
from kubelet.node import status as node_status
from kubelet.probes import Probes, Tally
from kubelet.resources import Capacity, container_resources, oom_score_adj, quota, shares
from kubelet.runtime import Bind, ContainerSpec, ContainerState, Image, Resources, Security
from kubelet.security import SecurityFault
from kubelet.settings import Settings
from kubelet.stopper import Deadline
from kubelet.store import ContainerStore
from kubelet.volumes import hostpath, mounts, payload, writer
from kubelet.volumes.payload import Source, VolumeFault
from kubelet.volumes.writer import File
from tests.unit.kubelet.build import container, pod, state

CAPACITY = Capacity(cpu=2000, memory=4 << 30, storage=100 << 30, pods=3)
ALL_CAPABILITIES = (1 << 41) - 1


# --- addresses ----------------------------------------------------------------------------------------------------------


def test_addresses_go_round_and_rest_before_they_return() -> None:
    pool = AddressPool("10.1.2.0/29")
    assert pool.gateway == "10.1.2.1"
    taken = [pool.take() for _ in range(5)]
    assert taken == [f"10.1.2.{n}" for n in range(2, 7)]
    with pytest.raises(NetworkFault):
        pool.take()
    pool.free("10.1.2.3")
    assert pool.take() == "10.1.2.3"


@given(st.lists(st.integers(2, 253), max_size=30))
def test_a_reserved_address_is_never_given_out(numbers: list[int]) -> None:
    pool = AddressPool("10.1.2.0/24")
    for number in numbers:
        pool.reserve(f"10.1.2.{number}")
    free = 253 - len(set(numbers))
    found = [pool.take() for _ in range(free)]
    assert len(set(found)) == free and not {f"10.1.2.{n}" for n in numbers} & set(found)


def test_interface_names_fit_the_kernel() -> None:
    assert len(bridge_name("n" * 200)) <= 15 and len(veth_name("f" * 64)) <= 15


# --- limits -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("milli", "wanted"), [(0, 2), (1, 2), (100, 102), (1000, 1024), (10**9, 262_144)])
def test_shares(milli: int, wanted: int) -> None:
    assert shares(milli) == wanted


def test_limits() -> None:
    one = container(resources={"limits": {"cpu": "500m", "memory": "1Gi"}})
    found = container_resources(pod(one), one, 4 << 30)
    assert (found.cpu_shares, found.cpu_quota, found.memory, found.oom_score_adj) == (512, 50_000, 1 << 30, -997)
    assert quota(1) == 1000
    half = container(resources={"requests": {"memory": "2Gi"}})
    assert oom_score_adj(pod(half), half, 4 << 30) == 500
    assert oom_score_adj(pod(), container(), 4 << 30) == 1000


# --- admission ----------------------------------------------------------------------------------------------------------


def _node(**labels: str) -> Object:
    return {
        "metadata": {"name": "n", "labels": labels},
        "status": {"allocatable": {"cpu": "2", "memory": "4Gi", "x/y": "1"}},
    }


def _asking(uid: str, **requests: str) -> Object:
    found = pod(container(resources={"requests": requests}))
    found["metadata"]["uid"] = uid
    return found


@pytest.mark.parametrize(
    ("wanted", "others", "reason"),
    [
        (_asking("a", cpu="2"), [], None),
        (_asking("a", cpu="2"), [_asking("b", cpu="1m")], "OutOfcpu"),
        (_asking("a", cpu="2"), [_asking("a", cpu="2")], None),
        (_asking("a", memory="5Gi"), [], "OutOfmemory"),
        (_asking("a", **{"x/y": "2"}), [], "OutOfx/y"),
        (_asking("a"), [_asking("b"), _asking("c"), _asking("d")], "OutOfpods"),
        (pod(nodeSelector={"a": "b"}), [], "NodeAffinity"),
        (pod(os={"name": "windows"}), [], "PodOSNotSupported"),
        (pod(securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}), [], "SysctlForbidden"),
        (pod(securityContext={"sysctls": [{"name": "net/ipv4/tcp_rmem", "value": "1"}]}), [], None),
    ],
)
def test_admission(wanted: Object, others: list[Object], reason: str | None) -> None:
    found = admission.refuse(wanted, _node(), others, CAPACITY)
    assert (found[0] if found else None) == reason


def _affinity(key: str, operator: str, *values: str) -> Object:
    term = {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}
    return pod(
        affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}
    )


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (_affinity("zone", "In", "a", "b"), True),
        (_affinity("zone", "NotIn", "a"), False),
        (_affinity("size", "Gt", "3"), True),
        (_affinity("size", "Lt", "3"), False),
        (_affinity("none", "Exists"), False),
    ],
)
def test_node_affinity(wanted: Object, fits: bool) -> None:
    assert admission.matches_node(wanted, _node(zone="a", size="4")) is fits


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ({"hostPort": 80}, {"hostPort": 80}, True),
        ({"hostPort": 80}, {"hostPort": 80, "protocol": "UDP"}, False),
        ({"hostPort": 80, "hostIP": "1.1.1.1"}, {"hostPort": 80, "hostIP": "2.2.2.2"}, False),
        ({"hostPort": 80, "hostIP": "1.1.1.1"}, {"hostPort": 80}, True),
    ],
)
def test_host_ports(one: Object, other: Object, clash: bool) -> None:
    first, second = pod(container(ports=[one])), pod(container(ports=[other]))
    second["metadata"]["uid"] = "other"
    found = admission.refuse(first, _node(), [second], CAPACITY)
    assert (found is not None and found[0] == "NodePorts") is clash


# --- probes -------------------------------------------------------------------------------------------------------------


def test_a_tally_counts_in_a_row() -> None:
    tally = Tally(successes_needed=2, failures_needed=3, state=False)
    changes = [tally.add(ok) for ok in (True, False, True, True, False, False, True, False, False, False)]
    assert changes == [False, False, False, True, False, False, False, False, False, True]
    assert tally.state is False


class _Probed:
    """Probes of one container whose answers a test sets."""

    def __init__(self, **probes: Object) -> None:
        self.clock, self.changes = FakeClock(), 0
        self.answers = dict.fromkeys(probes, True)
        self.asked: list[str] = []
        self.probes = Probes(self._run, self.clock, self._changed, lambda *_: None)
        marked: dict[str, Any] = {name: {**probe, "mark": name} for name, probe in probes.items()}
        self.probes.follow([Target("id", container(**marked), "1.2.3.4")], lambda _: 0.0)

    async def _run(self, probe: Object, target: Target, timeout: float) -> Outcome:
        self.asked.append(probe["mark"])
        return Outcome(self.answers[probe["mark"]])

    def _changed(self) -> None:
        self.changes += 1


async def test_readiness_begins_unready_and_follows() -> None:
    made = _Probed(readinessProbe={"periodSeconds": 5, "initialDelaySeconds": 3, "failureThreshold": 2})
    await made.clock.advance(2)
    assert not made.probes.is_ready("id") and not made.asked
    await made.clock.advance(1)
    assert made.probes.is_ready("id")
    made.answers["readinessProbe"] = False
    await made.clock.advance(5)
    assert made.probes.is_ready("id")
    await made.clock.advance(5)
    assert not made.probes.is_ready("id") and not made.probes.failure("id")
    made.probes.close()


async def test_liveness_dooms_after_its_threshold_and_waits_for_startup() -> None:
    made = _Probed(
        startupProbe={"periodSeconds": 1, "failureThreshold": 9},
        livenessProbe={"periodSeconds": 1, "failureThreshold": 2, "terminationGracePeriodSeconds": 4},
    )
    made.answers = {"startupProbe": False, "livenessProbe": False}
    await made.clock.advance(3)
    assert set(made.asked) == {"startupProbe"} and not made.probes.is_started("id")
    made.answers["startupProbe"] = True
    await made.clock.advance(1)
    assert made.probes.is_started("id") and made.probes.is_ready("id")
    await made.clock.advance(2)
    assert made.probes.failure("id") == "Container c failed liveness probe, will be restarted"
    assert made.probes.grace("id") == 4
    made.probes.close()


async def test_a_deadline_only_moves_nearer() -> None:
    clock = FakeClock()
    deadline = Deadline(clock, 30)
    deadline.shorten(60)
    assert deadline.left == 30
    deadline.shorten(0)
    async with asyncio.timeout(5):
        await deadline.passed()


def test_grpc_frames() -> None:
    sent = grpc_probe.request("1.2.3.4:5", "svc")
    assert sent.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") and b"/grpc.health.v1.Health/Check" in sent
    assert sent.endswith(b"\x00\x00\x00\x00\x05\x0a\x03svc")
    assert [grpc_probe.status(b) for b in (b"\0\0\0\0\2\x08\x01", b"\0\0\0\0\2\x08\x02", b"\0\0\0\0\0")] == [1, 2, 0]


# --- images -------------------------------------------------------------------------------------------------------------


class _Pulls:
    def __init__(self) -> None:
        self.runtime, self.now, self.said = FakeRuntime(), 0.0, list[str]()
        self.images = Images(self.runtime, lambda: self.now)

    async def ensure(self, image: str, policy: str = "") -> str:
        """The reason it failed, or an empty string."""
        wanted = {"image": image} | ({"imagePullPolicy": policy} if policy else {})
        try:
            await self.images.ensure(wanted, [], lambda _, reason, __: self.said.append(reason))
        except ImageFault as fault:
            return fault.reason
        return ""


async def test_pull_policies() -> None:
    made = _Pulls()
    made.runtime.add_image("local:1")
    made.runtime.add_image("far:1", remote=True)
    assert await made.ensure("local:1") == "" and made.said == ["Pulled"]
    assert await made.ensure("far:1", "Never") == "ErrImageNeverPull"
    assert await made.ensure("far:1") == "" and made.said[-2:] == ["Pulling", "Pulled"]
    assert await made.ensure("UPPER case") == "InvalidImageName"
    assert await made.ensure("local:1", "Always") == "ErrImagePull"


async def test_a_failed_pull_backs_off() -> None:
    made = _Pulls()
    assert await made.ensure("no:1") == "ErrImagePull"
    assert await made.ensure("no:1") == "ImagePullBackOff"
    made.now = 10
    assert await made.ensure("no:1") == "ErrImagePull"
    made.now = 29
    assert await made.ensure("no:1") == "ImagePullBackOff"
    made.runtime.add_image("no:1", remote=True)
    made.now = 31
    assert await made.ensure("no:1") == ""


async def test_only_images_that_can_come_back_are_collected() -> None:
    made = _Pulls()
    made.runtime.add_image("local:1")
    for name in ("a:1", "b:1", "used:1"):
        made.runtime.add_image(name, remote=True)
        await made.ensure(name)
    await made.runtime.create(ContainerSpec("x", "used:1", {}))
    assert await made.images.collect(150) == ["sha256:a:1", "sha256:b:1"]
    assert {i.id for i in await made.runtime.images()} == {"sha256:local:1", "sha256:used:1"}


# --- the engine's words -------------------------------------------------------------------------------------------------


def test_what_docker_is_told() -> None:
    spec = ContainerSpec(
        "n", "i", {"l": "v"}, entrypoint=("e",), env=("A=1",), binds=(Bind("/s", "/t", True, "rslave"),), network="none",
        resources=Resources(cpu_shares=5, memory=7, oom_score_adj=-5),
        security=Security("1:2", ("3",), ("A",), ("B",), no_new_privileges=True, seccomp="unconfined"),
    )  # fmt: skip
    body = docker_config.create_body(spec, ALL_CAPABILITIES)
    host = body["HostConfig"]
    assert (
        body["Entrypoint"] == ["e"]
        and "Cmd" not in body
        and body["User"] == "1:2"
        and body["Healthcheck"] == {"Test": ["NONE"]}
    )
    assert host["Mounts"][0]["BindOptions"] == {"Propagation": "rslave"} and host["Mounts"][0]["ReadOnly"]
    assert (host["Memory"], host["MemorySwap"], host["CpuShares"], host["OomScoreAdj"]) == (7, 7, 5, -5)
    assert host["SecurityOpt"] == ["no-new-privileges:true", "seccomp=unconfined"] and host["GroupAdd"] == ["3"]


def test_a_machine_that_cannot_give_everything() -> None:
    bounds = docker_config.bounding_set("CapBnd:\t000001fffeffffff\n")
    assert not docker_config.is_complete(bounds)
    spec = ContainerSpec("n", "i", {}, resources=Resources(oom_score_adj=-5), security=Security(privileged=True))
    host = docker_config.create_body(spec, bounds)["HostConfig"]
    assert host["OomScoreAdj"] == 0 and "Privileged" not in host
    assert "SYS_ADMIN" in host["CapAdd"] and "SYS_RESOURCE" not in host["CapAdd"]
    assert docker_config.create_body(spec, ALL_CAPABILITIES)["HostConfig"]["Privileged"]


async def test_the_stream_format_in_any_pieces() -> None:
    data = b"\1\0\0\0\0\0\0\3abc\2\0\0\0\0\0\0\1x"

    async def cut(size: int) -> Any:
        for start in range(0, len(data), size):
            yield data[start : start + size]

    for size in (1, 3, 100):
        assert [item async for item in docker_parse.demultiplex(cut(size))] == [(1, b"abc"), (2, b"x")]


def test_exit_statuses() -> None:
    assert remote_command.exit_status(0, [])["status"] == "Success"
    failed = remote_command.exit_status(2, ["a", "b"])
    assert failed["details"] == {"causes": [{"reason": "ExitCode", "message": "2"}]} and "[a b]" in failed["message"]
    assert remote_command.choose_protocol(["x", "v4.channel.k8s.io"]) == "v4.channel.k8s.io"


def test_a_container_never_goes_back() -> None:
    changes: list[str] = []
    store = ContainerStore(changes.append)
    store.put(state())
    store.put(state(phase="exited"))
    store.put(state())
    assert [s.phase for s in store.pod("u")] == ["exited"] and changes == ["u", "u"]
    store.replace([])
    store.put(state())
    assert store.pod("u") == [] and store.uids() == []


async def test_waiting_for_an_end() -> None:
    store = ContainerStore(lambda _: None)
    store.put(state())
    waiting = asyncio.ensure_future(store.exited("c-0", 5))
    await asyncio.sleep(0)
    store.forget("c-0")
    assert await waiting
    assert await store.exited("unknown", 5)


# --- security -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "image_user", "problem"),
    [
        ({"runAsNonRoot": True}, "", "image will run as root"),
        ({"runAsNonRoot": True}, "www", "non-numeric user (www)"),
        ({"runAsNonRoot": True}, "1000", ""),
        ({"runAsNonRoot": True, "runAsUser": 0}, "1000", "breaks non-root policy"),
        ({"runAsNonRoot": True, "runAsUser": 5}, "", ""),
    ],
)
def test_non_root(own: Object, image_user: str, problem: str) -> None:
    one = container(securityContext=own)
    if not problem:
        security.security(pod(one), one, Image("x", user=image_user), Path("/"))
        return
    with pytest.raises(SecurityFault) as raised:
        security.security(pod(one), one, Image("x", user=image_user), Path("/"))
    assert problem in str(raised.value)


def test_contexts_combine() -> None:
    one = container(securityContext={"runAsUser": 1, "capabilities": {"add": ["CAP_X"], "drop": ["ALL"]}})
    shared = {"runAsUser": 9, "runAsGroup": 2, "supplementalGroups": [3], "fsGroup": 4}
    found = security.security(pod(one, securityContext=shared), one, Image("x"), Path("/"))
    assert (found.user, found.groups, found.cap_add, found.cap_drop) == ("1:2", ("3", "4"), ("X",), ("ALL",))


# --- volumes ------------------------------------------------------------------------------------------------------------


def test_files_are_swapped_all_at_once(tmp_path: Path) -> None:
    assert writer.write(tmp_path, {"a": File(b"1"), "d/b": File(b"2", 0o600)})
    assert not writer.write(tmp_path, {"a": File(b"1"), "d/b": File(b"2", 0o600)})
    before = (tmp_path / "..data").readlink()
    assert writer.write(tmp_path, {"a": File(b"3")})
    assert (tmp_path / "..data").readlink() != before and (tmp_path / "a").read_bytes() == b"3"
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith("..2")) == ["..data", "a"]
    assert len([p for p in tmp_path.iterdir() if p.is_dir() and not p.is_symlink()]) == 1


def _source(**objects: Object) -> Source:
    return Source(lambda kind, name: objects.get(name), CAPACITY, lambda _: "token")


def test_payloads() -> None:
    source = _source(m={"data": {"a": "1"}, "binaryData": {"b": "/w=="}}, s={"data": {"k": "dg=="}})
    assert payload.render(pod(), {"name": "v", "configMap": {"name": "m"}}, source) == {
        "a": File(b"1"),
        "b": File(b"\xff"),
    }
    assert payload.render(pod(), {"name": "v", "emptyDir": {}}, source) is None
    both = {"sources": [{"configMap": {"name": "m", "items": [{"key": "a", "path": "x"}]}}, {"secret": {"name": "s"}},
                        {"serviceAccountToken": {"path": "t"}}], "defaultMode": 0o400}  # fmt: skip
    found = payload.render(pod(), {"name": "v", "projected": both}, source)
    assert found == {"x": File(b"1", 0o400), "k": File(b"v", 0o400), "t": File(b"token", 0o400)}
    with pytest.raises(VolumeFault, match="references non-existent config key: z"):
        payload.render(pod(), {"name": "v", "configMap": {"name": "m", "items": [{"key": "z", "path": "z"}]}}, source)
    with pytest.raises(VolumeFault, match='secret "no" not found'):
        payload.render(pod(), {"name": "v", "secret": {"secretName": "no"}}, source)
    optional = {"name": "v", "secret": {"secretName": "no", "optional": True}}
    assert payload.render(pod(), optional, source) == {}


def test_host_paths(tmp_path: Path) -> None:
    assert hostpath.prepare(f"{tmp_path}/new/dir", "DirectoryOrCreate").is_dir()
    assert hostpath.prepare(f"{tmp_path}/file", "FileOrCreate").is_file()
    for kind in ("Directory", "Socket", "CharDevice", "BlockDevice"):
        with pytest.raises(VolumeFault):
            hostpath.prepare(f"{tmp_path}/file", kind)
    with pytest.raises(VolumeFault, match="No such file"):
        hostpath.prepare(f"{tmp_path}/none", "File")


def test_mountinfo() -> None:
    text = "36 35 98:0 /mnt /with\\040space rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n"
    assert mounts.parse(text) == [mounts.Mounted("/with space", "ext3", "/dev/root")]


def test_names_of_claims_and_attachments() -> None:
    assert claim_name(pod(), {"name": "v", "ephemeral": {}}) == "p-v"
    assert claim_name(pod(), {"name": "v", "persistentVolumeClaim": {"claimName": "c"}}) == "c"
    assert attachment_name("d", "h", "n").startswith("csi-") and len(attachment_name("d", "h", "n")) == 68


# --- nodes --------------------------------------------------------------------------------------------------------------


def test_static_pods_are_named_after_their_node() -> None:
    manifest = {"kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [container()]}}
    one, other = static_pods.static_pod(manifest, "n", "f"), static_pods.static_pod(manifest, "m", "f")
    assert one["metadata"]["name"] == "a-n" and one["metadata"]["uid"] != other["metadata"]["uid"]
    assert one["spec"]["restartPolicy"] == "Always" and one["spec"]["nodeName"] == "n"
    with pytest.raises(ValueError, match="not a Pod"):
        static_pods.static_pod({"kind": "Service"}, "n", "f")


def test_a_bad_manifest_does_not_hide_a_good_one(tmp_path: Path) -> None:
    good = {"kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [container()]}}
    (tmp_path / "good.yaml").write_text(yaml.safe_dump(good))
    (tmp_path / "bad.yaml").write_text("{")
    (tmp_path / "notes.txt").write_text("x")
    complaints: list[str] = []
    found = static_pods.read_folder(tmp_path, "n", lambda path, _: complaints.append(Path(path).name))
    assert len(found) == 1 and complaints == ["bad.yaml"]


def test_node_status() -> None:
    made = NodeState(Settings("n", Path("/x"), node_ips=("1.2.3.4",), taints=("a=b:NoSchedule",)), CAPACITY)
    first = node_status(made, {}, "2027-01-15T08:00:00Z")
    assert first["capacity"] == {"cpu": "2", "memory": "4194304Ki", "ephemeral-storage": "104857600Ki", "pods": "3",
                                 "hugepages-1Gi": "0", "hugepages-2Mi": "0"}  # fmt: skip
    assert {c["type"]: c["status"] for c in first["conditions"]} == {
        "MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False", "Ready": "True"
    }  # fmt: skip
    later = node_status(made, first, "2027-01-15T08:05:00Z")
    assert not differs(first, later)
    made.problems = ["down"]
    assert differs(first, node_status(made, first, "2027-01-15T08:05:00Z"))
    extended = {**first, "capacity": {**first["capacity"], "x/y": "3"}}
    assert node_status(made, extended, "2027-01-15T08:05:00Z")["capacity"]["x/y"] == "3"
    assert node_object(made.settings, first)["spec"]["taints"] == [{"key": "a", "value": "b", "effect": "NoSchedule"}]


def test_meminfo() -> None:
    assert parse_meminfo("MemTotal:   16 kB\nHugePages_Total:  3\n") == {"MemTotal": 16384, "HugePages_Total": 3}


@pytest.mark.parametrize(
    ("change", "stage"),
    [
        ({}, "start"),
        ({"status": {"phase": "Running"}}, None),
        ({"status": {"phase": "Running"}, "annotations": {stages.DURATION: "2"}}, "end"),
        ({"status": {"phase": "Running"}, "owner": "Job"}, "end"),
        ({"status": {"phase": "Running"}, "owner": "ReplicaSet"}, None),
        ({"status": {"phase": "Succeeded"}, "owner": "Job"}, None),
        ({"deleted": True, "status": {"phase": "Running"}}, "delete"),
    ],
)
def test_stages(change: dict[str, Any], stage: str | None) -> None:
    found = pod(status=change.get("status"))
    found["metadata"]["annotations"] = change.get("annotations", {})
    if owner := change.get("owner"):
        found["metadata"]["ownerReferences"] = [{"kind": owner, "controller": True}]
    if change.get("deleted"):
        found["metadata"]["deletionTimestamp"] = "x"
    chosen = stages.next_stage(found)
    assert (chosen.name if chosen else None) == stage
    if stage == "end":
        assert chosen is not None and chosen.seconds(found) == (2.0 if change.get("annotations") else 1.0)


def test_states_compare() -> None:
    exited: ContainerState = state(phase="exited")
    assert exited.supersedes(state()) and not state().supersedes(exited)
