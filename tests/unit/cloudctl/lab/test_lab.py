"""A lab's machines and its place in the user's kubeconfig."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from cloudctl.cluster.state import ClusterError
from cloudctl.lab import kubeconfigs, nodes
from cloudctl.lab.create import Wishes, check
from cloudctl.lab.image import Release, code_files
from cloudctl.machine.settings import Role

SUBNET = ipaddress.IPv4Network("10.89.3.0/24")


def test_machines_have_names_and_addresses_of_their_own() -> None:
    found = nodes.plan("lab", SUBNET, 2, 1)
    assert [(one.name, one.role, one.address) for one in found] == [
        ("lab-control-plane-1", Role.CONTROL_PLANE, "10.89.3.11"),
        ("lab-control-plane-2", Role.CONTROL_PLANE, "10.89.3.12"),
        ("lab-node-1", Role.WORKER, "10.89.3.51"),
    ]


def test_no_machine_has_an_address_of_the_load_balancers() -> None:
    found = nodes.plan("lab", SUBNET, nodes.MOST[Role.CONTROL_PLANE], nodes.MOST[Role.WORKER])
    last = [int(one.address.rpartition(".")[2]) for one in found]
    assert len(set(last)) == len(last)
    assert max(last) < nodes.POOL[0]


def test_a_new_cluster_gets_a_range_that_nobody_has() -> None:
    assert str(nodes.free_subnet(["172.17.0.0/16"])) == "10.89.0.0/24"
    assert str(nodes.free_subnet(["10.89.0.0/24", "10.89.1.0/25"])) == "10.89.2.0/24"
    with pytest.raises(ClusterError, match="is in use"):
        nodes.free_subnet(["10.0.0.0/8"])


@pytest.mark.parametrize(
    ("wishes", "complaint"),
    [
        (Wishes(name="Lab"), "--name Lab"),
        (Wishes(control_planes=0), "--control-planes 0: must be at least 1"),
        (Wishes(workers=101), "--nodes 101: must be at least 0 and at most 100"),
    ],
)
def test_what_cannot_be_is_refused(wishes: Wishes, complaint: str) -> None:
    with pytest.raises(ClusterError, match=complaint):
        check(wishes)


def admin(server: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "cloudlet", "cluster": {"server": server}}],
        "users": [{"name": "kubernetes-admin", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "cloudlet", "user": "kubernetes-admin"}}],
        "current-context": "x",
    }


def test_a_cluster_is_merged_into_a_kubeconfig_and_becomes_current() -> None:
    other = kubeconfigs.renamed(admin("https://other"), "other")
    mine = kubeconfigs.merged(other, kubeconfigs.renamed(admin("https://mine"), "cloudlet-lab"))
    assert mine["current-context"] == "cloudlet-lab"
    assert [entry["name"] for entry in mine["clusters"]] == ["other", "cloudlet-lab"]
    again = kubeconfigs.merged(mine, kubeconfigs.renamed(admin("https://new"), "cloudlet-lab"))
    assert [entry["cluster"]["server"] for entry in again["clusters"]] == ["https://other", "https://new"]


def test_taking_a_cluster_out_leaves_the_others() -> None:
    other = kubeconfigs.renamed(admin("https://other"), "other")
    both = kubeconfigs.merged(other, kubeconfigs.renamed(admin("https://mine"), "cloudlet-lab"))
    left = kubeconfigs.without(both, "cloudlet-lab")
    assert left == {**other, "current-context": ""}


def test_the_image_is_of_this_machines_distribution() -> None:
    assert Release.of_this_machine('ID=debian\nVERSION_CODENAME="bookworm"\n').codename == "bookworm"
    with pytest.raises(ClusterError, match="Debian or Ubuntu"):
        Release.of_this_machine("ID=arch\n")


def test_the_image_holds_every_package_of_the_project_and_no_test() -> None:
    found = {path.relative_to(path.parents[len(path.parents) - 1]).as_posix() for path in code_files()}
    assert any(path.endswith("kubelet/agent.py") for path in found)
    assert any(path.endswith("deploy/systemd/cloudlet-kubelet.service") for path in found)
    assert not [path for path in found if "/tests/" in path or "__pycache__" in path]
