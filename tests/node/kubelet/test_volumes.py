"""Volumes, environment and security as a process in a container sees them."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

from api import resources
from api.types import Object
from tests.node.kubelet.lab import Kubelet, Space, container, phase, pod, terminated


def _with(volume: Object, script: str, mount: Object | None = None, **spec: object) -> Object:
    """A pod `a` with one volume mounted at /v."""
    mounts = {"volumeMounts": [{"name": "v", "mountPath": "/v", **(mount or {})}]}
    return pod("a", script, container=mounts, volumes=[{"name": "v", **volume}], **spec)


async def _config(space: Space, name: str = "config", **data: str) -> None:
    await space.create(resources.CONFIGMAPS, {"metadata": {"name": name}, "data": data})


async def _secret(space: Space, **data: str) -> None:
    encoded = {k: base64.b64encode(v.encode()).decode() for k, v in data.items()}
    await space.create(resources.SECRETS, {"metadata": {"name": "secret"}, "data": encoded})


async def test_config_map_with_items_and_modes(space: Space) -> None:
    await _config(space, a="1", b="2")
    items = [{"key": "a", "path": "deep/x", "mode": 0o400}]
    text = await space.output(
        _with({"configMap": {"name": "config", "items": items}}, "cat /v/deep/x; stat -Lc ' %a' /v/deep/x; ls /v")
    )
    assert text == "1 400\ndeep\n"


async def test_config_map_changes_reach_a_running_container(space: Space) -> None:
    await _config(space, a="old")
    script = "until grep -q new /v/a; do sleep 0.1; done; cat /v/a"
    await space.run(_with({"configMap": {"name": "config"}}, script))
    await space.wait("a", lambda p: container(p)["ready"])
    await space.client.patch(resources.CONFIGMAPS, "config", {"data": {"a": "new"}}, space.name)
    assert phase(await space.ended("a", 10)) == "Succeeded"


async def test_optional_secret_appears_later(space: Space) -> None:
    await space.run(
        _with(
            {"secret": {"secretName": "secret", "optional": True}}, "until test -e /v/k; do sleep 0.1; done; cat /v/k"
        )
    )
    await space.wait("a", lambda p: container(p)["ready"])
    await _secret(space, k="late")
    assert phase(await space.ended("a", 10)) == "Succeeded"
    assert await space.logs("a") == "late"


async def test_a_missing_volume_source_holds_the_pod(space: Space) -> None:
    await space.run(_with({"configMap": {"name": "later"}}, "cat /v/a"))
    event = await space.event("a", "FailedMount")
    assert 'MountVolume.SetUp failed for volume "v" : configmap "later" not found' in event["message"]
    await _config(space, "later", a="came")
    assert phase(await space.ended("a", 10)) == "Succeeded"


async def test_secret_for_a_group(space: Space) -> None:
    await _secret(space, k="s3cret")
    context = {"runAsUser": 1000, "fsGroup": 2000}
    text = await space.output(
        _with(
            {"secret": {"secretName": "secret", "defaultMode": 0o400}},
            "cat /v/k; stat -Lc ' %a %g' /v/k; id -G",
            securityContext=context,
        )
    )
    assert text == "s3cret 440 2000\n0 2000\n"


async def test_downward_files_follow_labels(space: Space) -> None:
    items = [
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "cpu", "resourceFieldRef": {"containerName": "c", "resource": "limits.cpu", "divisor": "1m"}},
    ]
    script = "cat /v/cpu; until grep -q two /v/labels; do sleep 0.1; done; cat /v/labels"
    made = _with({"downwardAPI": {"items": items}}, script, metadata={"labels": {"a": "one"}})
    made["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "250m"}}
    await space.run(made)
    await space.wait("a", lambda p: container(p)["ready"])
    await space.client.patch(resources.PODS, "a", {"metadata": {"labels": {"a": "two"}}}, space.name)
    assert phase(await space.ended("a", 10)) == "Succeeded"
    assert await space.logs("a") == '250a="two"'


async def test_projected_token_is_the_pods_own(space: Space) -> None:
    source = {"serviceAccountToken": {"path": "token", "audience": "tester", "expirationSeconds": 600}}
    made = _with({"projected": {"sources": [source]}}, "cat /v/token")
    text = await space.output(made)
    payload = text.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert claims["aud"] == ["tester"] and claims["kubernetes.io"]["pod"]["name"] == "a"
    assert claims["exp"] - claims["iat"] == 600


async def test_empty_dirs(space: Space) -> None:
    volumes = [{"name": "d", "emptyDir": {}}, {"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}]
    mounts = [{"name": "d", "mountPath": "/d"}, {"name": "m", "mountPath": "/m"}]
    script = "stat -c '%a' /d /m; grep ' /m ' /proc/mounts | grep -o 'size=[0-9]*k'; touch /d/x /m/x; id -u"
    context = {"securityContext": {"runAsUser": 1001}}
    text = await space.output(pod("a", script, container={"volumeMounts": mounts, **context}, volumes=volumes))
    assert text == "777\n777\nsize=1024k\n1001\n"


async def test_host_path_types(space: Space, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("hello")
    text = await space.output(_with({"hostPath": {"path": f"{tmp_path}/file", "type": "File"}}, "cat /v"))
    assert text == "hello"
    wrong = _with({"hostPath": {"path": f"{tmp_path}/file", "type": "Directory"}}, "true")
    wrong["metadata"]["name"] = "b"
    await space.run(wrong)
    event = await space.event("b", "FailedMount")
    assert "hostPath type check failed" in event["message"] and "is not a directory" in event["message"]


async def test_sub_paths(space: Space) -> None:
    await _config(space, a="1", b="2")
    await space.output(_with({"configMap": {"name": "config"}}, "test $(cat /v) = 2", {"subPath": "b"}))
    made = _with({"emptyDir": {}}, "echo x > /v/file", {"subPathExpr": "$(WHO)/in"})
    made["metadata"]["name"] = "expr"
    made["spec"]["containers"][0]["env"] = [{"name": "WHO", "value": "me"}]
    made["spec"]["containers"][0]["volumeMounts"].append({"name": "v", "mountPath": "/all"})
    made["spec"]["containers"][0]["command"][2] += "; cat /all/me/in/file"
    assert await space.output(made) == "x\n"


async def test_a_sub_path_cannot_leave_its_volume(space: Space, kubelet: Kubelet) -> None:
    """The symlink that one container plants leads the next nowhere but inside the volume."""
    plant = {
        "name": "plant", "image": "cloudlet/busybox:1", "command": ["ln", "-s", "/etc", "/v/link"],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
    }  # fmt: skip
    made = _with({"emptyDir": {}}, "ls /v | wc -l", {"subPath": "link/hostname"}, initContainers=[plant])
    await space.run(made)
    found = await space.wait("a", lambda p: phase(p) == "Succeeded" or "CreateContainer" in str(container(p)["state"]))
    if phase(found) == "Succeeded":
        assert await space.logs("a") == "0\n"


async def test_environment(space: Space) -> None:
    await _config(space, a="1", b="2")
    await _secret(space, pw="x y")
    env = [
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}},
        {"name": "PW", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "pw"}}},
        {"name": "BOTH", "value": "$(POD)-$(C_a)-$$(POD)-$(NOT)"},
    ]
    given = {"env": env, "envFrom": [{"prefix": "C_", "configMapRef": {"name": "config"}}]}
    text = await space.output(pod("a", "echo $POD $PW $C_b $HOST $BOTH; echo $IP; hostname -i", container=given))
    first, ip, own = text.splitlines()
    assert first == "a x y 2 127.0.0.1 a-1-$(POD)-$(NOT)"
    assert ip == own


async def test_names(space: Space) -> None:
    spec = {
        "hostname": "me", "subdomain": "sub", "hostAliases": [{"ip": "10.1.2.3", "hostnames": ["other", "third"]}],
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["1.1.1.1"], "searches": ["a.b"], "options": [{"name": "x", "value": "2"}]},
    }  # fmt: skip
    text = await space.output(pod("a", "hostname; cat /etc/hosts /etc/resolv.conf", **spec))
    assert text.startswith("me\n# Kubernetes-managed hosts file.\n")
    assert f"\tme.sub.{space.name}.svc.cluster.local\tme\n" in text
    assert "# Entries added by HostAliases.\n10.1.2.3\tother\tthird\n" in text
    assert text.endswith("search a.b\nnameserver 1.1.1.1\noptions x:2\n")


async def test_host_network_and_processes(space: Space) -> None:
    text = await space.output(
        pod("a", "ip -o link | grep -c cloudlet; ls /proc | grep -c '^[0-9]'", hostNetwork=True, hostPID=True)
    )
    processes = int(text.splitlines()[1])
    assert processes > 10


async def test_shared_process_namespace(space: Space) -> None:
    text = await space.output(pod("a", "ps | head -2; readlink /proc/self", shareProcessNamespace=True))
    assert "busybox sh -c trap" in text and int(text.splitlines()[-1]) > 1


async def test_security_context(space: Space) -> None:
    script = "id -u; id -g; id -G; grep -E 'NoNewPrivs|CapEff' /proc/self/status; touch /x 2>&1 || true"
    context = {
        "runAsUser": 1000, "runAsGroup": 3000, "readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    text = await space.output(
        pod("a", script, container={"securityContext": context}, securityContext={"supplementalGroups": [4000]})
    )
    lines = text.splitlines()
    assert lines[:3] == ["1000", "3000", "3000 4000"]
    assert lines[3].split() == ["CapEff:", "0000000000000000"] and lines[4].split() == ["NoNewPrivs:", "1"]
    assert "Read-only file system" in lines[5]


async def test_run_as_non_root_is_held_to(space: Space) -> None:
    await space.run(pod("a", container={"securityContext": {"runAsNonRoot": True}}))
    found = await space.wait("a", lambda p: "CreateContainerConfigError" in str(container(p)["state"]))
    assert "image will run as root" in container(found)["state"]["waiting"]["message"]


async def test_limits_reach_the_kernel(space: Space) -> None:
    resources_ = {"limits": {"cpu": "250m", "memory": "64Mi"}, "requests": {"cpu": "100m"}}
    files = (
        "/sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.shares /sys/fs/cgroup/memory/memory.limit_in_bytes"
    )
    text = await space.output(
        pod("a", f"cat {files} || cat /sys/fs/cgroup/cpu.max", container={"resources": resources_})
    )
    assert text.split()[:3] == ["25000", "102", str(64 << 20)] or text.split()[0] == "25000"


async def test_out_of_memory_is_named(space: Space) -> None:
    limits = {"resources": {"limits": {"memory": "16Mi"}}}
    await space.run(pod("a", "tail /dev/zero", container=limits))
    found = await space.ended("a")
    assert terminated(found)["reason"] == "OOMKilled" and terminated(found)["exitCode"] == 137


async def test_sysctls(space: Space) -> None:
    context = {"securityContext": {"sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}]}}
    assert await space.output(pod("a", "cat /proc/sys/kernel/shm_rmid_forced", **context)) == "1\n"


async def test_termination_messages(space: Space) -> None:
    await space.run(pod("file", "echo -n last > /dev/termination-log; exit 1"))
    await space.run(pod("log", "echo the end; exit 1", container={"terminationMessagePolicy": "FallbackToLogsOnError"}))
    await space.run(pod("path", "echo -n own > /tmp/end", container={"terminationMessagePath": "/tmp/end"}))
    found = await asyncio.gather(*(space.ended(name) for name in ("file", "log", "path")))
    assert [terminated(p).get("message") for p in found] == ["last", "the end\n", "own"]
