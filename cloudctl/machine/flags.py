"""The flags of every daemon of a machine, in `/etc/cloudlet/NAME.env`.

The files are ours and written anew by init, join and upgrades; what an administrator adds stands in
`/etc/cloudlet/NAME.local.env` as `MORE_FLAGS`, which nobody overwrites.
"""

from __future__ import annotations

from cloudctl.cluster import flags
from cloudctl.cluster.flags import Flags, Member
from cloudctl.machine.certificates import CLIENTS
from cloudctl.machine.layout import Machine
from cloudctl.machine.settings import ETCD_CLIENT_PORT, ETCD_PEER_PORT, KUBELET_PORT

CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"
TAINT = f"{CONTROL_PLANE_LABEL}=:NoSchedule"


def peer_url(address: str) -> str:
    """Where etcd's members reach one another."""
    return f"https://{address}:{ETCD_PEER_PORT}"


def client_url(address: str) -> str:
    """Where etcd serves API servers."""
    return f"https://{address}:{ETCD_CLIENT_PORT}"


def member(machine: Machine, peers: dict[str, str] | None = None) -> Member:
    """This machine's etcd member: the first of a cluster, or one that joins `peers`."""
    address = machine.settings.address
    own = {machine.name: peer_url(address)}
    urls = (client_url("127.0.0.1"), client_url(address))
    return Member(machine.name, urls, peer_url(address), {**(peers or {}), **own}, joins=peers is not None)


def etcd(machine: Machine, one: Member) -> Flags:
    """The store's."""
    return (
        *flags.etcd(machine.pki / "etcd", machine.etcd_data, one),
        # A member of another cluster is refused even before certificates are compared.
        f"--initial-cluster-token={machine.settings.cluster.name}",
        "--strict-reconfig-check=true",
    )


def control_plane(machine: Machine, etcd_servers: list[str]) -> dict[str, Flags]:
    """Of all daemons of a control plane but etcd."""
    cluster, home = machine.settings.cluster, machine.home
    seconds = cluster.certificate_seconds
    lifetime = (f"--cluster-signing-duration={seconds}",) if seconds else ()
    grace = cluster.node_monitor_grace_period
    patience = (
        (f"--node-monitor-grace-period={grace:g}", f"--node-monitor-period={min(5, grace / 8):g}") if grace else ()
    )
    pool = cluster.load_balancer_pool
    announced = (f"--load-balancer-interface={machine.settings.interface}",) if pool else ()
    return {
        "apiserver": (
            *flags.apiserver(
                machine.pki,
                cluster.networks,
                etcd_servers=",".join(etcd_servers),
                bind="0.0.0.0",  # noqa: S104 - nodes and pods reach it
                advertise=machine.settings.address,
                port=cluster.port,
                audit_log=home / "logs" / "audit.log",
            ),
            # The own member first; the others as they come and go.
            "--etcd-follow-members",
        ),
        "controllers": (
            *flags.controllers(machine.pki, cluster.networks, machine.kubeconfig("controllers")),
            *lifetime,
            *patience,
        ),
        "scheduler": (f"--kubeconfig={machine.kubeconfig('scheduler')}",),
        "cloud": (
            *flags.cloud(machine.kubeconfig("cloud"), home / "cloud", pool or "10.98.1.0/24"),
            *announced,
        ),
    }


def node(machine: Machine) -> dict[str, Flags]:
    """Of the daemons that every machine has."""
    decided = machine.settings
    networks = decided.cluster.networks
    labels = decided.node_labels
    # The label of its role a node may not give itself; `join.mark` does that.
    taints = [TAINT] if machine.is_control_plane and not decided.schedulable else []
    kubelet = flags.kubelet(
        machine.kubelet_kubeconfig,
        networks,
        machine.name,
        root=machine.kubelet_root,
        address=decided.address,
        port=KUBELET_PORT,
        ca=machine.pki / "ca.crt",
        grace=decided.cluster.node_monitor_grace_period,
    )
    return {
        "kubelet": (
            *kubelet,
            f"--bootstrap-kubeconfig={machine.bootstrap_kubeconfig}",
            "--rotate-server-certificates",
            # On a control plane the CA's file belongs to `cloudctl certs`, as all of pki/ does.
            *(
                (f"--sync-kubeconfigs={','.join(str(machine.kubeconfig(who)) for who in CLIENTS)}",)
                if machine.is_control_plane
                else ("--sync-client-ca",)
            ),
            *(("--node-labels=" + ",".join(f"{k}={v}" for k, v in sorted(labels.items())),) if labels else ()),
            *((f"--register-with-taints={','.join(taints)}",) if taints else ()),
        ),
        "proxy": flags.proxy(machine.kubelet_kubeconfig, networks, machine.name),
    }


def write(machine: Machine, daemon: str, chosen: Flags) -> bool:
    """Have the daemon's file say these flags; True when it said others."""
    path, text = machine.environment_file(daemon), f'FLAGS="{" ".join(chosen)}"\n'
    if path.exists() and path.read_text() == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".tmp")
    partial.write_text(text)
    partial.chmod(0o640)
    partial.replace(path)
    return True
