"""The settings of a machine: what is refused, and what is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudctl.cluster.state import ClusterError
from cloudctl.machine import settings
from cloudctl.machine.settings import MachineSettings, Role


def test_an_unknown_key_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        ClusterError, match=r"^init\.yaml: nodeName: Field required; nodeNmae: unknown key; known are .*nodeName"
    ):
        settings.parse({"nodeNmae": "a", "address": "192.0.2.7"}, "init.yaml")


def test_an_unknown_key_of_the_cluster_is_named_by_its_path() -> None:
    data = {"nodeName": "a", "address": "192.0.2.7", "cluster": {"pods": "10.0.0.0/8"}}
    with pytest.raises(ClusterError, match=r"cluster\.pods: unknown key; known are .*podNetwork"):
        settings.parse(data, "init.yaml")


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        ({"nodeName": "Upper", "address": "192.0.2.7"}, "nodeName: 'Upper' is no name for a node"),
        ({"nodeName": "localhost", "address": "192.0.2.7"}, "no name for a node"),
        ({"nodeName": "a", "address": "192.0.2.777"}, "address: "),
        ({"nodeName": "a", "address": "192.0.2.7", "role": "queen"}, "role: "),
        ({"nodeName": "a", "address": "192.0.2.7", "cluster": {"podNetwork": "10.1.2.3/16"}}, "cluster.podNetwork: "),
        (
            {"nodeName": "a", "address": "192.0.2.7", "cluster": {"loadBalancerPool": "192.0.2.9-192.0.2.8"}},
            "cluster.loadBalancerPool: '192.0.2.9-192.0.2.8' ends before it begins",
        ),
        (
            {
                "nodeName": "a",
                "address": "192.0.2.7",
                "cluster": {"virtualIp": "192.0.2.9", "loadBalancerPool": "192.0.2.8-192.0.2.20"},
            },
            "cluster: virtualIp 192.0.2.9 must not be one of the loadBalancerPool's",
        ),
    ],
)
def test_a_bad_value_is_named_by_its_field(data: dict[str, object], complaint: str) -> None:
    with pytest.raises(ClusterError, match=complaint):
        settings.parse(data, "init")


def test_what_was_saved_is_what_is_loaded(tmp_path: Path) -> None:
    decided = settings.parse({"nodeName": "vm-1", "address": "192.0.2.7", "cluster": {"name": "prod"}}, "init")
    decided.save(tmp_path / "etc" / "machine.yaml")
    assert settings.load(tmp_path / "etc" / "machine.yaml") == decided


@pytest.mark.parametrize("text", ["", "- a\n", "a: [\n"])
def test_a_file_that_is_no_mapping_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "init.yaml").write_text(text)
    with pytest.raises(ClusterError, match=r"init\.yaml") as caught:
        settings.read(tmp_path / "init.yaml")
    assert "\n" not in str(caught.value)


def test_the_first_address_of_the_service_network_is_the_api_servers() -> None:
    decided = MachineSettings(node_name="a", address="192.0.2.7", role=Role.WORKER)
    assert decided.cluster.service_api_address == "10.96.0.1"
