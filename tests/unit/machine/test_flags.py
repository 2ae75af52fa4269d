"""The daemons' flags on a machine."""

from __future__ import annotations

from pathlib import Path

from cloudctl.machine import flags
from cloudctl.machine.layout import Machine
from cloudctl.machine.settings import ClusterSettings, MachineSettings, Role


def machine(tmp_path: Path, role: Role = Role.CONTROL_PLANE, *, schedulable: bool = False, pool: str = "") -> Machine:
    cluster = ClusterSettings(load_balancer_pool=pool)
    decided = MachineSettings(
        node_name="vm-1", address="192.0.2.7", interface="eth0", role=role, schedulable=schedulable, cluster=cluster
    )
    return Machine(decided, tmp_path / "home", tmp_path / "etc")


def test_the_first_member_makes_a_cluster_and_the_next_joins_it(tmp_path: Path) -> None:
    first = flags.etcd(machine(tmp_path), flags.member(machine(tmp_path)))
    assert "--initial-cluster-state=new" in first
    assert "--initial-cluster=vm-1=https://192.0.2.7:2380" in first
    peers = {"vm-0": "https://192.0.2.6:2380"}
    second = flags.etcd(machine(tmp_path), flags.member(machine(tmp_path), peers))
    assert "--initial-cluster-state=existing" in second
    assert "--initial-cluster=vm-0=https://192.0.2.6:2380,vm-1=https://192.0.2.7:2380" in second


def test_a_control_plane_is_tainted_unless_it_is_to_run_pods(tmp_path: Path) -> None:
    taint = "--register-with-taints=node-role.kubernetes.io/control-plane=:NoSchedule"
    assert taint in flags.node(machine(tmp_path))["kubelet"]
    assert taint not in flags.node(machine(tmp_path, schedulable=True))["kubelet"]
    assert taint not in flags.node(machine(tmp_path, Role.WORKER))["kubelet"]


def test_the_kubelet_keeps_the_control_planes_kubeconfigs_and_the_workers_ca_current(tmp_path: Path) -> None:
    assert "--sync-client-ca" in flags.node(machine(tmp_path, Role.WORKER))["kubelet"]
    [kept] = [flag for flag in flags.node(machine(tmp_path))["kubelet"] if flag.startswith("--sync-kubeconfigs=")]
    assert kept.count(".kubeconfig") == 4


def test_balancers_addresses_are_put_on_the_machines_own_interface(tmp_path: Path) -> None:
    chosen = flags.control_plane(machine(tmp_path, pool="192.0.2.200-192.0.2.239"), [])["cloud"]
    assert "--load-balancer-interface=eth0" in chosen
    assert "--load-balancer-pool=192.0.2.200-192.0.2.239" in chosen


def test_flags_are_written_only_when_they_differ(tmp_path: Path) -> None:
    one = machine(tmp_path)
    assert flags.write(one, "proxy", ("--a=1", "--b=2"))
    assert one.environment_file("proxy").read_text() == 'FLAGS="--a=1 --b=2"\n'
    assert not flags.write(one, "proxy", ("--a=1", "--b=2"))
    assert flags.write(one, "proxy", ("--a=2",))
