"""The control plane as static pods: manifests for the kubelet of this machine, with the flags that the units would have.

The pods' image is empty: it has the folders of a Linux system and nothing in them. Programs and libraries are the machine's own,
mounted read-only, so that no image has to be made for a release and none has to be fetched.
"""

from __future__ import annotations

import io
import pwd
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import yaml

from client.command import CommandError, Commands
from cloudctl.cluster.flags import Flags
from cloudctl.cluster.state import ClusterError
from cloudctl.machine.layout import Machine, program
from cloudctl.machine.node import USER

IMAGE = "cloudlet/host:1"
_LINKS = ("bin", "sbin", "lib", "lib64")
_FOLDERS = ("usr", "opt", "etc", "var", "tmp", "run", "proc", "sys", "dev", "root")
_LOAD_SECONDS = 60.0
_LABEL = "io.cloudlet."
"""With which the kubelet's labels of containers begin."""
# What needs root and the machine's devices: load balancers' addresses and processes.
_PRIVILEGED = ("cloud",)


def archive() -> bytes:
    """The empty system, as a tar. The folders of programs are links into /usr, which is mounted."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in _FOLDERS:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(entry)
        for name in _LINKS:
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, f"usr/{name}"
            tar.addfile(link)
    return buffer.getvalue()


async def load_image(commands: Commands) -> None:
    """Have the image in the machine's Docker. Raises ClusterError."""
    if await commands.succeeds("docker", "image", "inspect", IMAGE):
        return
    try:
        await commands.run("docker", "import", "-", IMAGE, stdin=archive(), timeout=_LOAD_SECONDS)
    except CommandError as error:
        raise ClusterError(f"the image of the control plane's pods cannot be made: {error}") from error


def programs() -> list[str]:
    """The folders that Cloudlet's programs need, this Python's among them; none within another."""
    found: list[str] = []
    for folder in sorted({"/usr", sys.prefix, sys.base_prefix}):
        if not any(Path(folder).is_relative_to(one) for one in found):
            found.append(folder)
    return found


def manifest(machine: Machine, daemon: str, flags: Flags) -> dict[str, Any]:
    """The pod of a daemon, `apiserver`, `etcd` and so on."""
    line = [shutil.which("etcd") or "/usr/bin/etcd"] if daemon == "etcd" else [str(program(f"cloudlet-{daemon}"))]
    privileged = daemon in _PRIVILEGED
    # etcd is the system's, and its manifest outlives the folders of releases.
    folders = dict.fromkeys(["/usr"] if daemon == "etcd" else programs(), True)
    # /etc for names of users, certificates of the system and the like.
    folders |= {"/etc": True, str(machine.home): False}
    user = {} if privileged else _user()
    volumes = [{"name": f"v{i}", "hostPath": {"path": path}} for i, path in enumerate(folders)]
    mounts = [{"name": f"v{i}", "mountPath": p, "readOnly": ro} for i, (p, ro) in enumerate(folders.items())]
    container: dict[str, Any] = {
        "name": daemon,
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": [*line, *flags],
        "env": [{"name": "PATH", "value": "/usr/sbin:/usr/bin"}, {"name": "OPENBLAS_NUM_THREADS", "value": "1"}],
        "volumeMounts": mounts,
        "securityContext": {"privileged": True} if privileged else {"allowPrivilegeEscalation": False, **user},
    }
    if daemon == "apiserver":
        check = {"httpGet": {"path": "/livez", "port": machine.settings.cluster.port, "scheme": "HTTPS",
                             "host": machine.settings.address}}  # fmt: skip
        container["livenessProbe"] = {**check, "initialDelaySeconds": 10, "timeoutSeconds": 15, "failureThreshold": 8}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"cloudlet-{daemon}",
            "namespace": "kube-system",
            "labels": {"tier": "control-plane", "component": daemon},
        },
        "spec": {
            "hostNetwork": True,
            "priorityClassName": "system-node-critical",
            "terminationGracePeriodSeconds": 10,
            "containers": [container],
            "volumes": volumes,
        },
    }


def _user() -> dict[str, int]:
    found = pwd.getpwnam(USER)
    return {"runAsUser": found.pw_uid, "runAsGroup": found.pw_gid}


async def containers(commands: Commands, machine: Machine, daemon: str) -> set[str]:
    """Those of a daemon's pod that run. Raises CommandError."""
    labels = {"pod.namespace": "kube-system", "pod.name": f"cloudlet-{daemon}-{machine.name}", "container.name": daemon}
    filters = [f"--filter=label={_LABEL}{key}={value}" for key, value in labels.items()]
    return set((await commands.run("docker", "ps", "--quiet", "--no-trunc", *filters)).split())


def write(machine: Machine, daemon: str, flags: Flags) -> bool:
    """Have the manifest in the kubelet's folder, which starts the pod; anew, and then this is True, if it was another."""
    folder = machine.kubelet_root / "manifests"
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(manifest(machine, daemon, flags), sort_keys=False)
    path = folder / f"{daemon}.yaml"
    if path.exists() and path.read_text() == text:
        return False
    # Not in the folder itself, where the kubelet would read a half of it.
    with tempfile.NamedTemporaryFile("w", dir=machine.home, prefix=".manifest-", delete=False) as file:
        file.write(text)
    Path(file.name).chmod(0o600)
    Path(file.name).replace(path)
    return True
