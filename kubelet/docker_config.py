"""From a ContainerSpec to the body of Docker's `POST /containers/create`. Pure.

Source of the field names: the Docker Engine API reference, version 1.41.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kubelet.runtime import Bind, ContainerSpec, Resources, Security

_SYS_RESOURCE = 24
_NAMES = """
CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST
NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE
SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM
BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
"""
_CAPABILITIES = tuple(_NAMES.split())
"""capabilities(7), in the order of their bits."""

_LOGS = {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "5"}}


def bounding_set(status: str) -> int:
    """The capability bounding set, as a bit mask, from the text of /proc/PID/status."""
    for line in status.splitlines():
        if line.startswith("CapBnd:"):
            return int(line.split()[1], 16)
    return (1 << len(_CAPABILITIES)) - 1


def own_bounding_set() -> int:
    """What this machine can give: inside some VMs and containers CAP_SYS_RESOURCE is missing."""
    return bounding_set(Path("/proc/self/status").read_text(encoding="ascii"))


def is_complete(bounds: int) -> bool:
    """Whether every capability of capabilities(7) up to SYS_RESOURCE's kind is there to give."""
    return bool(bounds >> _SYS_RESOURCE & 1)


def _mount(bind: Bind) -> dict[str, Any]:
    return {
        "Type": "bind",
        "Source": bind.source,
        "Target": bind.target,
        "ReadOnly": bind.read_only,
        "BindOptions": {"Propagation": bind.propagation},
    }


def resource_config(resources: Resources, bounds: int) -> dict[str, Any]:
    """The cgroup part of HostConfig, which is also the body of `POST /containers/ID/update`."""
    config: dict[str, Any] = {}
    if resources.cpu_shares:
        config["CpuShares"] = resources.cpu_shares
    if resources.cpu_quota:
        config |= {"CpuQuota": resources.cpu_quota, "CpuPeriod": resources.cpu_period}
    if resources.memory:
        # Equal limits: a pod's memory limit allows no swap.
        config |= {"Memory": resources.memory, "MemorySwap": resources.memory}
    if resources.pids:
        config["PidsLimit"] = resources.pids
    return config


def _oom_score(resources: Resources, bounds: int) -> int:
    # Lowering a score needs CAP_SYS_RESOURCE; without it the process would not start at all.
    return resources.oom_score_adj if is_complete(bounds) else max(0, resources.oom_score_adj)


def _security_options(security: Security) -> list[str]:
    options = []
    if security.no_new_privileges:
        options.append("no-new-privileges:true")
    if security.seccomp:
        options.append(f"seccomp={security.seccomp}")
    if security.apparmor:
        options.append(f"apparmor={security.apparmor}")
    return options


def _privileges(security: Security, bounds: int) -> dict[str, Any]:
    if security.privileged and is_complete(bounds):
        return {"Privileged": True}
    if security.privileged:
        # Docker insists on every capability it knows; give what there is, and lift every other restriction.
        return {
            "CapAdd": [name for bit, name in enumerate(_CAPABILITIES) if bounds >> bit & 1],
            "SecurityOpt": ["seccomp=unconfined", "apparmor=unconfined", "label=disable"],
            "MaskedPaths": [],
            "ReadonlyPaths": [],
            "DeviceCgroupRules": ["a *:* rwm"],
        }
    config: dict[str, Any] = {
        "CapAdd": list(security.cap_add),
        "CapDrop": list(security.cap_drop),
        "SecurityOpt": _security_options(security),
    }
    if security.unmasked_proc:
        config |= {"MaskedPaths": [], "ReadonlyPaths": []}
    return config


def host_config(spec: ContainerSpec, bounds: int) -> dict[str, Any]:
    """The HostConfig object. `bounds` is the mask of capabilities that can be given."""
    config: dict[str, Any] = {
        "NetworkMode": spec.network,
        "RestartPolicy": {"Name": "no"},
        "LogConfig": _LOGS,
        "Mounts": [_mount(bind) for bind in spec.binds],
        "Devices": [
            {"PathOnHost": here, "PathInContainer": there, "CgroupPermissions": "rwm"} for here, there in spec.devices
        ],
        "OomScoreAdj": _oom_score(spec.resources, bounds),
        "ReadonlyRootfs": spec.security.read_only_root,
        "GroupAdd": list(spec.security.groups),
        "Sysctls": dict(spec.sysctls),
    }
    if spec.ipc:
        config["IpcMode"] = spec.ipc
    if spec.pid:
        config["PidMode"] = spec.pid
    return config | resource_config(spec.resources, bounds) | _privileges(spec.security, bounds)


def create_body(spec: ContainerSpec, bounds: int) -> dict[str, Any]:
    """The whole body. An image's own health check is off: probes are the kubelet's."""
    body: dict[str, Any] = {
        "Image": spec.image,
        "Labels": dict(spec.labels),
        "Env": list(spec.env),
        "Tty": spec.tty,
        "OpenStdin": spec.stdin,
        "StdinOnce": spec.stdin_once,
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": host_config(spec, bounds),
    }
    if spec.entrypoint is not None:
        body["Entrypoint"] = list(spec.entrypoint)
    if spec.args is not None:
        body["Cmd"] = list(spec.args)
    if spec.working_dir:
        body["WorkingDir"] = spec.working_dir
    if spec.hostname:
        body["Hostname"] = spec.hostname
    if spec.security.user:
        body["User"] = spec.security.user
    if spec.stop_signal:
        body["StopSignal"] = spec.stop_signal
    return body
