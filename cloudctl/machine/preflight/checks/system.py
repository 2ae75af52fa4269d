"""Who runs this machine, and whether it belongs to somebody already."""

from __future__ import annotations

from cloudctl.cluster import network
from cloudctl.cluster.state import Cluster
from cloudctl.machine.preflight.finding import Request, Result, error, ok, warning
from cloudctl.machine.preflight.probe import Probe
from cloudctl.supervisor import pidfile

_SYSTEMD = "/run/systemd/system"
"""sd_booted(3)"""
_OURS = (
    "admin.kubeconfig",
    "kubelet.kubeconfig",
    "bootstrap-kubelet.kubeconfig",
    "pki/ca.crt",
    "pki/etcd/ca.crt",
    "etcd/member",
    "cluster.json",
)
_FLAGS = ("kubelet.env", "apiserver.env", "etcd.env")
_OTHERS = {
    "/etc/kubernetes/kubelet.conf": "kubeadm",
    "/etc/rancher/k3s": "k3s",
    "/etc/rancher/rke2": "RKE2",
    "/var/snap/microk8s/current": "MicroK8s",
    "/var/lib/k0s": "k0s",
}


async def root(probe: Probe, request: Request) -> list[Result]:
    """Whether we may do anything at all."""
    return [ok("run by root")] if probe.root() else [error("not run by root")]


async def systemd(probe: Probe, request: Request) -> list[Result]:
    """Whether there is somebody to start the daemons."""
    return (
        [ok("systemd runs")] if probe.exists(_SYSTEMD) else [error(f"systemd does not run ({_SYSTEMD} is not there)")]
    )


async def existing_cluster(probe: Probe, request: Request) -> list[Result]:
    """Whether an earlier init or join left its files."""
    places = [request.home / name for name in _OURS] + [request.etc / name for name in _FLAGS]
    found = [str(path) for path in places if probe.exists(path)]
    if not found:
        return [ok("belongs to no cluster")]
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return [error(f"this machine is set up already: {found[0]}{more}")]


def running_elsewhere(cluster: Cluster | None) -> str:
    """The folder of another cluster with real nodes that `cloudctl up` runs on this machine, empty without one."""
    other = network.owner()
    if other is None or (cluster and other == cluster.home) or not (other / "cluster.json").exists():
        return ""
    return str(other) if pidfile.read(other / "run" / "supervisor.pid") is not None else ""


async def local_cluster(probe: Probe, request: Request) -> list[Result]:
    """Whether `cloudctl up` runs one, which needs the same addresses, bridges and rules."""
    if other := running_elsewhere(None):
        return [error(f"`cloudctl up` runs a cluster on this machine ({other})", f"`cloudctl down --state {other}`")]
    return [ok("no cluster of `cloudctl up` runs")]


async def other_kubernetes(probe: Probe, request: Request) -> list[Result]:
    """Whether another distribution is installed."""
    found = [f"{what} ({path})" for path, what in _OTHERS.items() if probe.exists(path)]
    return [warning(f"there is {', '.join(found)}")] if found else [ok("no other Kubernetes is installed")]
