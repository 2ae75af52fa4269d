"""A cluster's decisions, certificates, flags and what is cleaned up; nothing is started."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509

from client import kubeconfig
from cloudctl.cluster import addons, cleanup, daemons, identities, network
from cloudctl.cluster.down import delete_state
from cloudctl.cluster.pki import Authority, Leaf, server_leaf
from cloudctl.cluster.processes import tail
from cloudctl.cluster.state import Cluster, ClusterError, Decisions, decide
from cloudctl.cluster.up import stale


def test_decisions_survive_and_are_checked(tmp_path: Path) -> None:
    made = decide(None, nodes=2, fake_nodes=None, port=16443)
    Cluster(tmp_path, made).save()
    again = Cluster.load(tmp_path)
    assert again and again.decisions == made
    assert decide(made, nodes=None, fake_nodes=None, port=None) == made
    assert decide(made, nodes=3, fake_nodes=None, port=None).nodes == 3


@pytest.mark.parametrize(
    ("old", "nodes", "fake", "port", "said"),
    [
        (None, 2, 2, None, "exclude one another"),
        (None, 0, None, None, "at least 1"),
        (None, 201, None, None, "at most 200"),
        (Decisions(), None, 5, None, "real nodes"),
        (Decisions(nodes=0, fake_nodes=3), 2, None, None, "simulated nodes"),
        (Decisions(), None, None, 7443, "made with port 6443"),
    ],
)
def test_decisions_that_cannot_be(
    old: Decisions | None, nodes: int | None, fake: int | None, port: int | None, said: str
) -> None:
    with pytest.raises(ClusterError, match=said):
        decide(old, nodes=nodes, fake_nodes=fake, port=port)


def test_a_damaged_state_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "cluster.json").write_text("{")
    with pytest.raises(ClusterError, match="down --delete"):
        Cluster.load(tmp_path)
    with pytest.raises(ClusterError, match="cloudctl up"):
        Cluster.existing(tmp_path / "nothing")


def test_certificates_are_made_once_private_and_for_the_right_people(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, Decisions(nodes=2))
    cluster.save()
    assert "kubelet-node-2.kubeconfig" in identities.ensure(cluster)
    assert identities.ensure(cluster) == []
    private = [p for p in tmp_path.rglob("*") if p.suffix in (".key", ".kubeconfig", ".csv")]
    assert len(private) > 10
    assert {p.stat().st_mode & 0o777 for p in private} == {0o600}
    config = kubeconfig.load(cluster.kubeconfig("kubelet-node-1"))
    assert config.cert
    subject = x509.load_pem_x509_certificate(config.cert).subject.rfc4514_string()
    assert subject == "CN=system:node:node-1,O=system:nodes"
    served = x509.load_pem_x509_certificate((cluster.pki / "apiserver.crt").read_bytes())
    names = served.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "kubernetes.default.svc.cluster.local"} <= set(names.get_values_for_type(x509.DNSName))
    assert {"127.0.0.1", "10.96.0.1", "10.98.0.1"} <= {str(a) for a in names.get_values_for_type(x509.IPAddress)}


def test_a_new_node_gets_its_certificates_alone(tmp_path: Path) -> None:
    first = Cluster(tmp_path, Decisions(nodes=1))
    first.save()
    identities.ensure(first)
    assert identities.ensure(Cluster(tmp_path, Decisions(nodes=2))) == ["kubelet-node-2", "kubelet-node-2.kubeconfig"]


def test_certificates_are_renewed_before_they_expire_and_when_names_change(tmp_path: Path) -> None:
    authority = Authority.have(tmp_path, "ca", "test")
    leaf = server_leaf("x", ["localhost"])
    cert = x509.load_pem_x509_certificate(authority.issue(leaf).cert)
    now = datetime.datetime.now(datetime.UTC)
    assert authority.issued(cert, leaf, now)
    assert not authority.issued(cert, leaf, now + datetime.timedelta(days=336))
    assert not authority.issued(cert, server_leaf("x", ["localhost", "10.0.0.1"]), now)
    assert not authority.issued(cert, Leaf("x"), now)
    assert not Authority.have(tmp_path, "other", "test").issued(cert, leaf, now)


def test_openssl_trusts_what_the_authority_issues(tmp_path: Path) -> None:
    authority = Authority.have(tmp_path, "ca", "test")
    authority.ensure("leaf", server_leaf("x", ["localhost"]))
    command = ["openssl", "verify", "-x509_strict", "-CAfile", str(tmp_path / "ca.crt"), str(tmp_path / "leaf.crt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr


def test_renewed_certificates_restart_those_who_hold_them() -> None:
    renewed = ["apiserver", "server", "proxy.kubeconfig", "kubelet-node-1", "kubelet-node-1.kubeconfig"]
    assert stale(renewed) == {"apiserver", "etcd", "proxy", "kubelet-node-1"}
    assert stale(["fake-nodes.kubeconfig"]) == {"kubelet-fake"}


def test_every_daemon_of_a_real_and_of_a_simulated_cluster(tmp_path: Path) -> None:
    real = [spec.name for spec in daemons.specs(Cluster(tmp_path, Decisions(nodes=2)))]
    assert real == [
        "etcd",
        "apiserver",
        "controllers",
        "scheduler",
        "cloud",
        "kubelet-node-1",
        "kubelet-node-2",
        "proxy",
    ]
    fake = [spec.name for spec in daemons.specs(Cluster(tmp_path, Decisions(nodes=0, fake_nodes=5)))]
    assert fake == ["etcd", "apiserver", "controllers", "scheduler", "kubelet-fake"]


def test_a_simulated_cluster_listens_on_loopback_only(tmp_path: Path) -> None:
    specs = daemons.specs(Cluster(tmp_path, Decisions(nodes=0, fake_nodes=5)))
    assert "--bind-address=127.0.0.1" in specs[1].argv
    assert not [flag for spec in specs for flag in spec.argv if flag.endswith("=0.0.0.0")]


def test_nodes_of_one_machine_differ_in_address_and_port(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, Decisions(nodes=3))
    assert [cluster.node_address(n) for n in cluster.node_names] == ["10.98.0.11", "10.98.0.12", "10.98.0.13"]
    assert [cluster.kubelet_port(n) for n in cluster.node_names] == [10250, 10251, 10252]


def test_add_ons_are_objects_with_names() -> None:
    found = {(obj["kind"], obj["metadata"]["name"]) for obj in addons.manifests()}
    assert ("Service", "kube-dns") in found
    assert ("StorageClass", "standard") in found


MOUNTS = """\
22 1 0:21 / / rw - ext4 /dev/vda rw
30 22 0:30 / /home/c/kubelet/pods/a/volumes/secret rw - tmpfs tmpfs rw
31 22 0:31 / /home/c/kubelet rw - tmpfs tmpfs rw
32 22 0:32 / /home/c\\040d rw - tmpfs tmpfs rw
33 22 0:33 / /home/cd rw - tmpfs tmpfs rw
"""


def test_mounts_below_a_folder_come_innermost_first() -> None:
    assert cleanup.mounts_below(Path("/home/c"), MOUNTS) == ["/home/c/kubelet/pods/a/volumes/secret", "/home/c/kubelet"]
    assert cleanup.mounts_below(Path("/home/c d"), MOUNTS) == ["/home/c d"]


def test_devices_to_delete_are_ours_and_pods_ends_come_first() -> None:
    links = [
        {"ifname": "lo"},
        {"ifname": "docker0"},
        {"ifname": "veth1", "master": "docker0"},
        {"ifname": "cloudlet0"},
        {"ifname": "clb-1"},
        {"ifname": "clv1", "master": "clb-1"},
        {"ifname": "clv2"},
        {"ifname": "clv3", "master": "docker0"},
    ]
    assert network.doomed(links) == ["clv1", "clv2", "cloudlet0", "clb-1"]


def test_helpers_of_a_folder_are_ended(tmp_path: Path) -> None:
    script = tmp_path / "cloud" / "helper.py"
    script.parent.mkdir()
    script.write_text("import sys, time\nsys.stdout.write('up\\n')\nsys.stdout.flush()\ntime.sleep(600)\n")
    helper = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE)
    assert helper.stdout
    with helper.stdout:
        helper.stdout.readline()
        assert cleanup.helpers(script.parent) == [helper.pid]
        cleanup.end_helpers(script.parent)
        assert helper.wait(10) != 0


def test_a_state_folder_is_deleted_but_no_other_folder(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path / "c", Decisions())
    cluster.save()
    delete_state(cluster)
    assert not cluster.home.exists()
    (tmp_path / "precious").mkdir()
    with pytest.raises(ClusterError, match="left alone"):
        delete_state(Cluster(tmp_path / "precious", Decisions()))


def test_container_marks_follow_the_kubelets_folders(tmp_path: Path) -> None:
    for name in ("kubelet-node-1", "kubelet-node-2"):
        (tmp_path / name).mkdir()
    cluster = Cluster(tmp_path, Decisions(nodes=2))
    assert len(set(cluster.container_marks())) == 2
    assert cluster.container_marks("node-1")[0] in cluster.container_marks()


def test_the_end_of_a_log(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text(os.linesep.join(str(i) for i in range(100)))
    assert tail(path, 2) == "  98\n  99"
    assert "No such file" in tail(tmp_path / "none.log")
