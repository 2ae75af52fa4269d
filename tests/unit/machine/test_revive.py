"""What a restored machine takes over from the one that was saved."""

from __future__ import annotations

import pytest

from cloudctl.cluster.state import ClusterError
from cloudctl.machine.settings import Role
from cloudctl.machine.snapshots.revive import machine_settings

SAVED = """
apiVersion: cloudlet.dev/v1
kind: Machine
nodeName: vm-1
address: 192.0.2.1
role: control-plane
schedulable: true
nodeLabels: {disk: fast}
cluster: {name: shop, podNetwork: 10.9.0.0/16}
"""


def test_another_machine_takes_the_cluster_s_settings_under_its_own_name_and_address() -> None:
    found = machine_settings(SAVED, "vm-9", "192.0.2.9")
    assert (found.node_name, found.address, found.role) == ("vm-9", "192.0.2.9", Role.CONTROL_PLANE)
    assert (found.cluster.name, found.cluster.pod_network, found.schedulable) == ("shop", "10.9.0.0/16", True)
    assert found.node_labels == {}


def test_the_same_machine_keeps_its_labels() -> None:
    assert machine_settings(SAVED, "vm-1", "192.0.2.1").node_labels == {"disk": "fast"}


def test_a_snapshot_without_settings_has_the_default_ones() -> None:
    assert machine_settings("", "vm-9", "192.0.2.9").cluster.name == "cloudlet"


def test_settings_that_this_version_does_not_know_are_named() -> None:
    with pytest.raises(ClusterError, match=r"the snapshot's machine\.yaml: cluster\.mystery"):
        machine_settings("nodeName: vm-1\ncluster: {mystery: 1}\n", "vm-1", "192.0.2.1")
